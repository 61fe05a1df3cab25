// What the page shows stands in its address: `#service=kafka&outcome=failed`, `#test=tests/test_a.py::test_b`.

const KEYS = ["q", "service", "exactly", "dir", "fixture", "outcome", "tier", "verdict", "finding", "from", "to", "kind", "sort", "test"];

let last = {};

/** The state in the address: key → text. If the address names a section of the page, the state before it. */
function readState() {
  const hash = location.hash.slice(1);
  if (hash === "" || hash.includes("=")) {
    const parameters = new URLSearchParams(hash);
    last = Object.fromEntries(KEYS.filter((key) => parameters.has(key)).map((key) => [key, parameters.get(key)]));
  }
  return last;
}

/** The address of a state. An empty `exactly` means tests without services, so only null leaves a key out. */
function address(state) {
  const parameters = new URLSearchParams();
  for (const key of KEYS) if (state[key] !== undefined && state[key] !== null) parameters.set(key, state[key]);
  const text = parameters.toString().replace(/%(2F|3A|2C|5B|5D|28|29)/g, decodeURIComponent);
  return `#${text}`;
}

/** Changes the address, without the jump that a link would cause. */
function show(state, { replace = false } = {}) {
  const text = address(state);
  history[replace ? "replaceState" : "pushState"](null, "", text === "#" ? location.pathname + location.search : text);
  dispatchEvent(new Event("statechange"));
}
