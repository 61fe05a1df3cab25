// Heads of columns that sort.

/** A head with a button. `direction` is a value of aria-sort, from which the style makes an arrow; `onclick` sorts. */
function sortHead(tag, attributes, title, direction, onclick) {
  const button = make("button", { type: "button", class: "sort", onclick }, title);
  return make(tag, { ...attributes, "aria-sort": direction }, button);
}

/** Replaces heads; the button that had the focus keeps it. */
function replaceHeads(row, heads) {
  const focused = [...row.children].findIndex((head) => head.contains(document.activeElement));
  row.replaceChildren(...heads);
  row.children[focused]?.querySelector("button")?.focus();
}
