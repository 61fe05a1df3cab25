// The list of tests, and the form that filters it.

const COLUMNS = [
  { title: "Test", style: "test", sort: "name" },
  { title: "Outcome", style: "result", sort: "outcome" },
  { title: "Services", style: "services" },
  { title: "Time", style: "r", sort: "duration" },
];

/** Where the heads of the columns have no room. */
const ORDERS = [
  ["-duration", "longest first"],
  ["duration", "shortest first"],
  ["-outcome", "failed first"],
  ["outcome", "failed last"],
  ["name", "by name"],
  ["-name", "by name, Z first"],
];

class TestList {
  constructor(form, place, suite) {
    this.suite = suite;
    this.form = form;
    this.rows = new Rows(place, "Tests", COLUMNS, (test) => this.cells(test));
    this.drawForm();
  }

  cells(test) {
    const { suite } = this;
    const id = suite.ids[test];
    const link = make("a", { href: address({ ...this.state, test: id }), title: id }, nodeid(id));
    const chip = (name, kind, remark) => make("span", { class: `chip ${kind}`, title: `${name}${remark}` }, name);
    const services = make(
      "span",
      {},
      suite.names("uses", test).map((name) => chip(name, "", "")),
      suite.names("ambient", test).map((name) => chip(name, "ambient", ": only ambient")),
      suite.names("own", test).map((name) => chip(name, "own", ": provided by the run itself")),
    );
    const outcome = suite.outcome(test);
    const label = make("span", { class: outcome === "passed" ? "dim" : outcomeStyle(outcome) }, outcome);
    return [link, label, services, duration(suite.seconds(test))];
  }

  drawForm() {
    const { suite } = this;
    const outcomes = suite.outcomes.filter((_, number) => suite.tests.outcome.includes(number));
    const services = [...new Set(suite.sets.flat().map((service) => suite.known[service]))].sort(inOrder);
    const findings = Object.entries(suite.findings).flatMap(([kind, subjects]) =>
      Object.keys(subjects).map((subject) => [`${kind}:${subject}`, `${kind}: ${subject}`]),
    );
    const verdicts = suite.trials.flatMap((trial) =>
      suite.verdicts.map((verdict) => [`${verdict}:${trial.without}`, `${verdict}: ${trial.without}`]),
    );
    this.search = make("input", { type: "search", name: "q", placeholder: "Words of a node id", autocomplete: "off" });
    const fields = [
      field("Search", this.search, "wide"),
      field("Service", choice("service", "any", services.map((name) => [name, name]))),
      field("Directory, file or class", make("input", { name: "dir", list: "directories", autocomplete: "off" })),
      field("Fixture", make("input", { name: "fixture", list: "fixtures", autocomplete: "off" })),
      field("Outcome", choice("outcome", "any", outcomes.map((name) => [name, name]))),
    ];
    const order = field("Order", choice("sort", "as they ended", ORDERS), "order");
    if (suite.tiers.length) fields.push(field("Tier", choice("tier", "any", suite.tiers.map((name) => [name, name]))));
    if (verdicts.length) fields.push(field("Verdict", choice("verdict", "any", verdicts)));
    if (findings.length) fields.push(field("Finding", choice("finding", "any", findings)));
    fields.push(order);
    this.count = make("output", { class: "count" });
    this.others = make("span", { class: "others" });
    this.reset = make("button", { type: "button", class: "quiet", onclick: () => this.clear() }, "Clear all filters");
    const lists = [datalist("fixtures", suite.fixtures), datalist("directories", directories(suite))];
    this.form.replaceChildren(...fields, ...lists, make("div", { class: "summary" }, this.count, this.others, this.reset));
    this.form.onsubmit = (event) => event.preventDefault();
    this.form.oninput = () => this.changed();
  }

  clear() {
    show({}, { replace: true });
    this.search.focus();
  }

  changed() {
    const state = { ...readState() };
    for (const element of this.form.elements) {
      if (element.name === "") continue;
      if (element.value === "") delete state[element.name];
      else state[element.name] = element.value;
    }
    show(state, { replace: true });
  }

  /** Shows the tests of a state. */
  show(state) {
    const { test: _, ...filters } = state;
    const key = address(filters);
    if (key === this.key) return;
    this.key = key;
    this.state = filters;
    for (const element of this.form.elements) {
      if (element.name !== "" && element !== document.activeElement) element.value = filters[element.name] ?? "";
    }
    const found = select(this.suite, filters);
    const seconds = found.reduce((sum, test) => sum + this.suite.tests.duration_us[test], 0) / 1e6;
    const of = found.length === this.suite.size ? "" : ` of ${this.suite.size.toLocaleString("en")}`;
    this.count.textContent = `${counted(found.length, "test")}${of}, ${duration(seconds)}`;
    this.drawOthers(filters);
    this.reset.hidden = key === "#";
    this.rows.setHead(COLUMNS.map((column) => this.head(column, filters)));
    this.rows.set(found);
    announce(this.count.textContent);
  }

  /** Filters that the form has no field for, each with a button that removes it. */
  drawOthers(filters) {
    const texts = {
      exactly: (value) => (value === "" ? "uses no service" : `uses exactly ${value.replaceAll(",", " + ")}`),
      from: (value) => `from ${duration(Number(value))}`,
      to: (value) => (value === "inf" ? null : `under ${duration(Number(value))}`),
    };
    const buttons = Object.entries(texts)
      .filter(([key, text]) => filters[key] !== undefined && text(filters[key]) !== null)
      .map(([key, text]) => {
        const label = text(filters[key]);
        const remove = () => show({ ...readState(), [key]: null }, { replace: true });
        return make("button", { type: "button", class: "quiet", "aria-label": `Remove the filter: ${label}`, onclick: remove }, `${label} ×`);
      });
    this.others.replaceChildren(...buttons);
  }

  head(column, filters) {
    const sort = filters.sort ?? "";
    const direction = sort === column.sort ? "ascending" : sort === `-${column.sort}` ? "descending" : "none";
    const attributes = { role: "columnheader", class: column.style };
    if (column.sort === undefined) return make("div", attributes, column.title);
    const descends = `-${column.sort}`;
    const orders =
      column.sort === "name"
        ? { none: column.sort, ascending: descends, descending: null }
        : { none: descends, descending: column.sort, ascending: null };
    const following = orders[direction];
    const onclick = () => show({ ...readState(), sort: following }, { replace: true });
    return sortHead("div", attributes, column.title, direction, onclick);
  }
}

function field(label, control, style = "") {
  return make("label", { class: `field ${style}` }, make("span", {}, label), control);
}

function choice(name, none, options) {
  const all = [["", none], ...options].map(([value, text]) => make("option", { value }, text));
  return make("select", { name }, all);
}

function datalist(id, values) {
  return make("datalist", { id }, values.map((value) => make("option", { value })));
}

/** All directories, for the field's proposals. */
function directories(suite) {
  const found = new Set();
  for (const file of suite.files) {
    const parts = file.split("/");
    for (let length = 1; length < parts.length; length++) found.add(parts.slice(0, length).join("/"));
  }
  return [...found].sort();
}
