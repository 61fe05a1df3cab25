// A table of any number of rows, of which only those in view are elements.

class Rows {
  /**
   * @param {HTMLElement} place
   * @param {string} label
   * @param {{title: string, style: string, sort?: string}[]} columns
   * @param {(row: number, number: number) => HTMLElement[]} cells  the content of a row's cells; the first has its link
   */
  constructor(place, label, columns, cells, style = "") {
    this.columns = columns;
    this.cells = cells;
    this.rows = [];
    this.first = this.last = this.current = 0;
    this.head = make("div", { role: "row", class: "row head", "aria-rowindex": "1" });
    this.body = make("div", { class: "rows", role: "rowgroup" });
    this.window = make("div", { class: "window", role: "presentation" }, this.body);
    this.table = make(
      "div",
      { role: "table", class: `list ${style}`, "aria-label": label },
      make("div", { role: "rowgroup" }, this.head),
      this.window,
    );
    this.empty = make("p", { class: "empty", hidden: true }, "No test matches these filters.");
    place.replaceChildren(this.table, this.empty);
    this.window.onscroll = () => this.draw();
    this.table.onkeydown = (event) => this.key(event);
    addEventListener("resize", () => this.draw(true));
    addEventListener("beforeprint", () => this.draw(true, PRINTED));
    addEventListener("afterprint", () => this.draw(true));
  }

  /** The height of a row, which the style sets. */
  get height() {
    return parseFloat(getComputedStyle(this.table).getPropertyValue("--row"));
  }

  setHead(cells) {
    replaceHeads(this.head, cells);
  }

  set(rows) {
    this.rows = rows;
    this.current = 0;
    this.window.scrollTop = 0;
    this.table.setAttribute("aria-rowcount", rows.length + 1);
    this.table.hidden = rows.length === 0;
    this.empty.hidden = rows.length > 0;
    this.draw(true);
  }

  draw(again = false, printed = 0) {
    const height = this.height;
    this.body.style.height = printed ? "" : `${this.rows.length * height}px`;
    const visible = Math.ceil(this.window.clientHeight / height);
    const first = printed ? 0 : Math.max(0, Math.floor(this.window.scrollTop / height) - MARGIN);
    const last = Math.min(this.rows.length, printed || first + visible + 2 * MARGIN);
    if (!again && first === this.first && last === this.last) return;
    const focused = this.body.contains(document.activeElement);
    [this.first, this.last] = [first, last];
    this.body.replaceChildren(
      ...this.rows.slice(first, last).map((row, place) => {
        const number = first + place;
        const cells = this.cells(row, number).map((cell, column) =>
          make("div", { role: "cell", class: this.columns[column].style }, cell),
        );
        const element = make("div", { role: "row", class: "row", "aria-rowindex": number + 2 }, cells);
        if (!printed) element.style.transform = `translateY(${number * height}px)`;
        const link = element.querySelector("a");
        link.tabIndex = number === this.current ? 0 : -1;
        link.onfocus = () => this.move(number, false);
        return element;
      }),
    );
    this.window.dataset.more = printed && this.rows.length > printed ? `the first ${printed} of ${this.rows.length}` : "";
    if (focused) this.link(this.current)?.focus({ preventScroll: true });
  }

  link(number) {
    return this.body.querySelector(`[aria-rowindex="${number + 2}"] a`);
  }

  /** Makes a row the current one: the one that the tab key reaches. */
  move(number, focus = true) {
    const old = this.link(this.current);
    if (old) old.tabIndex = -1;
    this.current = Math.max(0, Math.min(number, this.rows.length - 1));
    const height = this.height;
    const top = this.current * height;
    if (focus) {
      const below = top + height - this.window.clientHeight;
      if (top < this.window.scrollTop) this.window.scrollTop = top;
      if (below > this.window.scrollTop) this.window.scrollTop = below;
      this.draw();
    }
    const link = this.link(this.current);
    if (link) link.tabIndex = 0;
    if (focus) link?.focus({ preventScroll: true });
  }

  key(event) {
    if (!this.body.contains(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.window.clientHeight / this.height) - 1);
    const targets = {
      ArrowDown: this.current + 1,
      ArrowUp: this.current - 1,
      PageDown: this.current + page,
      PageUp: this.current - page,
      Home: 0,
      End: this.rows.length - 1,
    };
    if (!(event.key in targets)) return;
    event.preventDefault();
    this.move(targets[event.key]);
  }
}

/** Rows above and below the visible ones that are elements, too. */
const MARGIN = 10;
/** A printed list has so many rows. */
const PRINTED = 200;
