// The start: the theme, the copy buttons, and what the page's data asks for.

const THEMES = ["system", "light", "dark"];

function startTheme() {
  const button = byId("theme");
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.lastElementChild.textContent = theme;
  };
  let theme = "system";
  try {
    theme = THEMES.includes(localStorage.svcTraceTheme) ? localStorage.svcTraceTheme : "system";
  } catch {
    // a browser may forbid a file to store anything
  }
  apply(theme);
  button.hidden = false;
  button.onclick = () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    apply(theme);
    try {
      localStorage.svcTraceTheme = theme;
    } catch {
      // as above
    }
  };
}

function startCopying() {
  for (const button of document.querySelectorAll("button.copy")) {
    const code = button.parentElement.querySelector("code");
    button.onclick = () => copy(code.textContent, button, code);
  }
}

/** Shows what the address asks for, now and whenever it changes. */
function follow(list, view) {
  const apply = (event) => {
    const { test, ...filters } = readState();
    list.show(filters);
    const byLink = event?.type === "hashchange" || event === undefined;
    if (test !== undefined) view?.open(test);
    else {
      view?.dialog.close();
      if (byLink && location.hash.includes("=")) byId("tests").scrollIntoView();
    }
  };
  addEventListener("hashchange", apply);
  addEventListener("popstate", apply);
  addEventListener("statechange", apply);
  apply();
}

async function startReport() {
  const data = await load("index");
  if (data === null) return;
  const suite = new Suite(data);
  const list = new TestList(byId("filters"), byId("list"), suite);
  const view = new TestView(byId("test"), suite, () => list.rows.rows);
  new Matrix(byId("matrix-table"), suite);
  follow(list, view);
  const help = startHelp();
  addEventListener("keydown", (event) => {
    const action = { "/": () => list.search.focus(), "?": help }[event.key];
    if (action === undefined || event.target.closest("input, select, textarea, dialog")) return;
    event.preventDefault();
    action();
  });
}

/** Returns a function that shows the help. */
function startHelp() {
  const dialog = byId("help");
  const open = () => dialog.showModal();
  dialog.querySelector(".close").onclick = () => dialog.close();
  dialog.onclick = (event) => event.target === dialog && dialog.close();
  byId("help-open").onclick = open;
  byId("help-open").hidden = false;
  return open;
}

async function startDiff() {
  const data = await load("diff");
  if (data !== null) follow(new DiffList(byId("filters"), byId("list"), data), null);
}

/** A printed page has what a click would show, too. */
function startPrinting() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });
}

startTheme();
startCopying();
startPrinting();
Promise.all([startReport(), startDiff()])
  .then(() => (document.documentElement.dataset.ready = "yes"))
  .catch((error) => {
    const failure = byId("failure");
    failure.textContent = `This browser cannot show the tests: ${error}. It has to be a current one.`;
    failure.hidden = false;
    console.error(error);
  });
