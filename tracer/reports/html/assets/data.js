// The page's data: JSON, packed by gzip, in base64.

const unpacked = new Map();

/** A document of the page's data; null if the page has none of this name. It is unpacked once. */
function load(name) {
  if (!unpacked.has(name)) unpacked.set(name, unpack(byId(`data-${name}`)));
  return unpacked.get(name);
}

async function unpack(source) {
  if (source === null) return null;
  const text = atob(source.textContent);
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

/** The name of all endpoints that no rule names, where they count as one service. */
const UNKNOWN = "(unknown)";

/** The tests of a report, and what their numbers stand for. */
class Suite {
  constructor(data) {
    Object.assign(this, data);
    this.size = data.tests.name.length;
    this.ids = data.tests.name.map((name, test) => {
      const file = data.files[data.tests.file[test]];
      return name ? `${file}::${name}` : file;
    });
    this.lower = this.ids.map((id) => id.toLowerCase());
    this.numbers = new Map(this.ids.map((id, test) => [id, test]));
    this.known = data.services.map((service) => (service.startsWith("unknown:") ? UNKNOWN : service));
    this.combinations = data.sets.map((set) => [...new Set(set.map((service) => this.known[service]))].sort(inOrder));
  }

  /** The services that a test uses; all unknown endpoints as one. */
  combination(test) {
    return this.combinations[this.tests.uses[test]];
  }
  seconds(test) {
    return this.tests.duration_us[test] / 1e6;
  }
  outcome(test) {
    return this.outcomes[this.tests.outcome[test]];
  }
  names(column, test) {
    return this.sets[this.tests[column][test]].map((service) => this.services[service]);
  }
}

/** By name; the unknown endpoints are the last. */
function inOrder(one, other) {
  return (one === UNKNOWN) - (other === UNKNOWN) || (one < other ? -1 : one > other ? 1 : 0);
}
