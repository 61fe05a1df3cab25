// Elements of the page. All text is set as text, never as markup.

/** An element with attributes, properties (`onclick`) and children: elements, or text. */
function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "line", "circle", "path", "rect", "text", "title", "g"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const byId = (id) => document.getElementById(id);

const counted = (number, unit) => `${number.toLocaleString("en")} ${unit}${number === 1 ? "" : "s"}`;

/** A time in its two largest units, as the other reports write it. */
function duration(seconds) {
  if (seconds < 0.0995) return `${Math.round(1000 * seconds)} ms`;
  if (seconds < 9.995) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(Math.round(seconds) / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds) % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A node id: its file may be cut at its beginning, so that the name, which differs, stays visible. */
function nodeid(id) {
  const [file, ...names] = id.split("::");
  if (names.length === 0) return [make("span", { class: "name" }, file)];
  return [
    make("span", { class: "file" }, make("bdi", { dir: "ltr" }, `${file}::`)),
    make("span", { class: "name" }, make("bdi", {}, names.join("::"))),
  ];
}

/** Announces a change to screen readers. */
function announce(text) {
  byId("status").textContent = text;
}

/** Copies text. A page that was not loaded safely has no clipboard: then the text is selected for the user's own keys. */
async function copy(text, button, source) {
  let result = "Copied";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(source);
    result = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C";
  }
  const label = button.textContent;
  button.textContent = result;
  announce(result);
  setTimeout(() => (button.textContent = label), 1500);
}
