// The matrix: services × directories, files and classes, as a tree that opens in place.

/** So many columns of services, and so many rows of one parent at a time. */
const SERVICES_SHOWN = 12;
const CHILDREN_SHOWN = 60;
/** The matrix opens by itself as long as it has fewer rows. */
const ROWS_AT_START = 14;

class Matrix {
  constructor(place, suite) {
    this.suite = suite;
    const uses = new Map();
    for (let test = 0; test < suite.size; test++)
      for (const name of suite.combination(test)) uses.set(name, (uses.get(name) ?? 0) + 1);
    const ranked = [...uses].sort((one, other) => other[1] - one[1] || inOrder(one[0], other[0]));
    this.services = ranked.slice(0, SERVICES_SHOWN).map(([name]) => name);
    this.more = ranked.length - this.services.length;
    this.body = make("tbody");
    this.heads = make("tr");
    this.order = { column: "name", descends: false };
    const table = make(
      "table",
      { class: "matrix" },
      make("caption", { class: "visually-hidden" }, "Tests of each directory, file and class, by service"),
      make("thead", {}, this.heads),
      this.body,
    );
    const region = make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Matrix" }, table);
    const note = this.more ? make("p", { class: "dim" }, `and ${counted(this.more, "more service")}`) : null;
    place.replaceChildren(region, ...(note ? [note] : []));
    const all = Array.from({ length: suite.size }, (_, test) => test);
    this.root = { path: "", tests: all, depth: -1 };
    this.drawHeads();
    this.openFirst();
  }

  /** Opens the largest rows while the matrix stays small. */
  openFirst() {
    let waiting = this.add(null, this.root);
    while (waiting.length > 0) {
      const next = [];
      for (const node of waiting) {
        const children = this.children(node);
        if (children.length < 2 || children[0].kind === "class") continue;
        if (this.body.rows.length + children.length > ROWS_AT_START) continue;
        next.push(...this.open(node));
      }
      waiting = next;
    }
  }

  drawHeads() {
    const columns = [
      ["name", "Directory, file, class"],
      ["tests", "Tests"],
      ["time", "Time"],
      ["none", "no service"],
      ...this.services.map((name, place) => [place, name]),
    ];
    const { order } = this;
    const heads = columns.map(([column, title]) => {
      const direction = column !== order.column ? "none" : order.descends ? "descending" : "ascending";
      const attributes = { scope: "col", class: column === "name" ? "" : "r" };
      return sortHead("th", attributes, title, direction, () => this.sort(column, title));
    });
    replaceHeads(this.heads, heads);
  }

  /** Sorts by a column: a number's largest first; then, and names at once, the other way round. */
  sort(column, title) {
    const again = column === this.order.column;
    this.order = { column, descends: again ? !this.order.descends : column !== "name" };
    this.drawHeads();
    this.body.replaceChildren();
    this.redraw(this.root);
    announce(`sorted by ${title}, ${this.order.descends ? "descending" : "ascending"}`);
  }

  /** Draws the rows below a node, which stay open if they were. */
  redraw(node) {
    const open = new Set(this.children(node).filter((child) => child.isOpen));
    const shown = node === this.root ? this.add(null, node) : this.open(node);
    for (const child of shown) if (open.has(child)) this.redraw(child);
  }

  /** The children of a node in the order of the column. */
  ordered(node) {
    const { column, descends } = this.order;
    const children = this.children(node);
    if (column === "name") return descends ? children.toReversed() : children;
    const value = (child) => this.numbers(child)[column] ?? this.numbers(child).uses[column];
    return children.toSorted((one, other) => (descends ? value(other) - value(one) : value(one) - value(other)));
  }

  /** How many tests of a node there are, use no service and use each service; and their time in µs. */
  numbers(node) {
    if (node.numbers) return node.numbers;
    const numbers = { tests: node.tests.length, time: 0, none: 0, uses: this.services.map(() => 0) };
    for (const test of node.tests) {
      numbers.time += this.suite.tests.duration_us[test];
      const names = this.suite.combination(test);
      if (names.length === 0) numbers.none++;
      for (const name of names) {
        const place = this.services.indexOf(name);
        if (place >= 0) numbers.uses[place]++;
      }
    }
    node.numbers = numbers;
    return numbers;
  }

  /** The next level of a node: the parts of the paths of its tests. A directory with one child is one with it. */
  children(node) {
    if (node.children) return node.children;
    const groups = new Map();
    for (const test of node.tests) {
      const path = this.next(this.suite.ids[test], node.path);
      if (path === null) continue;
      const group = groups.get(path.path);
      if (group) group.tests.push(test);
      else groups.set(path.path, { ...path, tests: [test], depth: node.depth + 1 });
    }
    let children = [...groups.values()];
    if (children.length === 1 && children[0].kind === "directory") {
      children = this.children({ ...children[0], depth: node.depth });
    }
    children.sort((one, other) => (one.kind === "class") - (other.kind === "class") || (one.path < other.path ? -1 : 1));
    node.children = children;
    return children;
  }

  /** The child of a path that contains a test. Functions of a file are not shown one by one: the list has them. */
  next(id, path) {
    const separator = id.indexOf("::");
    const file = separator < 0 ? id : id.slice(0, separator);
    if (path.length < file.length) {
      const slash = file.indexOf("/", path === "" ? 0 : path.length + 1);
      return slash < 0 ? { path: file, kind: "file" } : { path: file.slice(0, slash), kind: "directory" };
    }
    if (path !== file) return null;
    const name = id.slice(separator + 2).split("[")[0];
    const end = name.lastIndexOf("::");
    return end < 0 ? null : { path: `${file}::${name.slice(0, end)}`, kind: "class" };
  }

  /** Adds the rows of a node's children below its row; returns them. */
  add(after, node, from = 0) {
    const children = this.ordered(node);
    const shown = children.slice(from, from + CHILDREN_SHOWN);
    const rows = shown.map((child) => this.row(child, node.path));
    if (children.length > from + CHILDREN_SHOWN) rows.push(this.moreRow(node, from + CHILDREN_SHOWN));
    if (after) after.after(...rows);
    else this.body.append(...rows);
    return shown;
  }

  open(node) {
    node.isOpen = true;
    node.button.setAttribute("aria-expanded", "true");
    return this.add(node.row, node);
  }

  close(node) {
    node.isOpen = false;
    node.button.setAttribute("aria-expanded", "false");
    let row = node.row.nextElementSibling;
    while (row && Number(row.dataset.depth) > node.depth) {
      const next = row.nextElementSibling;
      row.remove();
      row = next;
    }
    for (const child of node.children) child.isOpen = false;
  }

  row(node, parent) {
    const hasChildren = this.children(node).length > 0;
    node.isOpen = false;
    const label = node.path.slice(parent === "" ? 0 : parent.length).replace(/^(\/|::)/, "");
    node.button = hasChildren
      ? make("button", {
          type: "button",
          class: "open",
          "aria-expanded": "false",
          "aria-label": `Show the parts of ${node.path}`,
          onclick: () => (node.isOpen ? this.close(node) : this.open(node)),
        })
      : make("span", { class: "open" });
    const head = make(
      "th",
      { scope: "row" },
      node.button,
      make("a", { href: address({ dir: node.path }) }, label + (node.kind === "directory" ? "/" : "")),
    );
    head.style.setProperty("--depth", node.depth);
    const { tests: all, time, none, uses } = this.numbers(node);
    node.row = make(
      "tr",
      { "data-depth": node.depth },
      head,
      make("td", { class: "r" }, all.toLocaleString("en")),
      make("td", { class: "r dim" }, duration(time / 1e6)),
      this.cell(none, all, { dir: node.path, exactly: "" }),
      this.services.map((name, place) => this.cell(uses[place], all, { dir: node.path, service: name })),
    );
    return node.row;
  }

  cell(number, all, state) {
    if (number === 0) return make("td", { class: "r none" }, "·");
    const share = Math.round((100 * number) / all);
    const cell = make("td", { class: "r" }, make("a", { href: address(state), title: `${share}%` }, number.toLocaleString("en")));
    cell.style.setProperty("--share", `${Math.max(3, share)}%`);
    return cell;
  }

  moreRow(node, from) {
    const rest = node.children.length - from;
    const row = make("tr", { "data-depth": node.depth + 1 });
    const button = make(
      "button",
      { type: "button", class: "quiet", onclick: () => this.extend(row, node, from) },
      `Show ${Math.min(rest, CHILDREN_SHOWN)} of ${counted(rest, "more row")}`,
    );
    row.append(make("td", { colspan: this.services.length + 4 }, button));
    return row;
  }

  extend(row, node, from) {
    const [first] = this.add(row, node, from);
    row.remove();
    first.row.querySelector("a").focus();
  }
}
