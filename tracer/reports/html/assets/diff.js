// The tests that differ between two reports, old beside new.

const DIFF_COLUMNS = [
  { title: "Test", style: "test" },
  { title: "What", style: "result" },
  { title: "Old", style: "services old" },
  { title: "New", style: "services new" },
];

class DiffList {
  constructor(form, place, data) {
    this.data = data;
    this.form = form;
    this.lower = data.rows.map(([id]) => id.toLowerCase());
    this.rows = new Rows(place, "Tests that differ", DIFF_COLUMNS, (row) => this.cells(row), "difference");
    this.rows.setHead(DIFF_COLUMNS.map((one) => make("div", { role: "columnheader", class: one.style }, one.title)));
    this.count = make("output", { class: "count" });
    const kinds = data.kinds.filter((_, number) => data.rows.some((row) => row[1] === number));
    form.replaceChildren(
      field("Search", make("input", { type: "search", name: "q", placeholder: "Words of a node id", autocomplete: "off" }), "wide"),
      field("What", choice("kind", "any", kinds.map((kind) => [kind, kind]))),
      field("Service", choice("service", "any", [...data.services].sort(inOrder).map((name) => [name, name]))),
      make("div", { class: "summary" }, this.count),
    );
    form.onsubmit = (event) => event.preventDefault();
    form.oninput = () => this.changed();
  }

  cells(number) {
    const [id, kind, old, now, oldTier, newTier, oldOutcome, newOutcome] = this.data.rows[number];
    const link = make("a", { href: address({ ...this.state, q: id }), title: id }, nodeid(id));
    const side = (services, sign, style, tier, otherTier, outcome, otherOutcome) =>
      make(
        "span",
        {},
        services.map((service) => make("span", { class: `chip ${style}` }, `${sign}${this.data.services[service]}`)),
        tier !== otherTier ? make("span", { class: "chip" }, tier) : null,
        outcome !== otherOutcome ? make("span", { class: "chip" }, outcome) : null,
      );
    return [
      link,
      this.data.kinds[kind],
      side(old, "−", "lost", oldTier, newTier, oldOutcome, newOutcome),
      side(now, "+", "gained", newTier, oldTier, newOutcome, oldOutcome),
    ];
  }

  changed() {
    const fields = [...this.form.elements].filter((element) => element.name !== "" && element.value !== "");
    show(Object.fromEntries(fields.map((element) => [element.name, element.value])), { replace: true });
  }

  show(state) {
    this.state = state;
    for (const element of this.form.elements) {
      if (element.name !== "" && element !== document.activeElement) element.value = state[element.name] ?? "";
    }
    const words = (state.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    const service = this.data.services.indexOf(state.service);
    const found = [];
    this.data.rows.forEach(([, kind, old, now], row) => {
      if (state.kind !== undefined && this.data.kinds[kind] !== state.kind) return;
      if (state.service !== undefined && !old.includes(service) && !now.includes(service)) return;
      if (words.every((word) => this.lower[row].includes(word))) found.push(row);
    });
    this.count.textContent = counted(found.length, "test");
    this.rows.set(found);
    announce(this.count.textContent);
  }
}
