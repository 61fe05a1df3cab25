// The timeline of a test: for each service, when its evidence began.

const BEFORE = 84;
const LANE = 26;
const TOP = 24;

/**
 * @param {{service: string, phase: string, how: string, strength: string, seconds: number, text: string}[]} marks
 *     `seconds` since the test began; before it, for what a test inherits
 * @param {number} length  seconds
 */
function timeline(marks, length) {
  const WIDTH = Math.min(800, innerWidth - 28);
  const LABELS = WIDTH < 500 ? 90 : 150;
  const services = [...new Set(marks.map((mark) => mark.service))];
  const height = TOP + LANE * services.length + 8;
  const inheritedMarks = marks.some((mark) => mark.how === "inherited");
  const start = LABELS + (inheritedMarks ? BEFORE : 8);
  const span = Math.max(length, ...marks.map((mark) => (mark.how === "inherited" ? 0 : mark.seconds)), 1e-6);
  const at = (seconds) => start + ((WIDTH - start - 12) * seconds) / span;
  const svg = make("svg", {
    viewBox: `0 0 ${WIDTH} ${height}`,
    class: "timeline",
    role: "img",
    "aria-label": "Timeline of the test. The list below has the same as text.",
  });
  for (const share of WIDTH < 500 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]) {
    const x = at(span * share);
    svg.append(make("line", { x1: x, x2: x, y1: TOP - 4, y2: height - 4, class: "grid" }));
    const anchor = share === 0 ? "start" : share === 1 ? "end" : "middle";
    svg.append(make("text", { x, y: 12, "text-anchor": anchor, class: "tick" }, share === 0 ? "0" : tick(span * share, span)));
  }
  if (inheritedMarks) svg.append(make("text", { x: LABELS, y: 12, class: "tick" }, "inherited"));
  services.forEach((service, lane) => {
    const y = TOP + LANE * lane + LANE / 2;
    svg.append(make("line", { x1: LABELS, x2: WIDTH - 12, y1: y, y2: y, class: "lane" }));
    const label = service.length > LABELS / 7 ? `${service.slice(0, LABELS / 7 - 1)}…` : service;
    svg.append(make("text", { x: 0, y: y + 4, class: "label" }, label, make("title", {}, service)));
    const inherited = marks.filter((mark) => mark.service === service && mark.how === "inherited");
    inherited.forEach((mark, place) => {
      const x = LABELS + 8 + Math.min(place, 5) * 12;
      svg.append(sign(mark, x, y));
    });
    for (const mark of marks) {
      if (mark.service === service && mark.how !== "inherited") svg.append(sign(mark, at(Math.max(0, mark.seconds)), y));
    }
  });
  return svg;
}

/** A time on the axis. */
function tick(seconds, span) {
  if (span < 0.01) return `${(1000 * seconds).toFixed(2)} ms`;
  return span < 1 ? `${(1000 * seconds).toFixed(span < 0.1 ? 1 : 0)} ms` : `${seconds.toFixed(2)} s`;
}

/** A disc if something was sent, a ring if only connected, a cross if the attempt failed. */
function sign(mark, x, y) {
  const kind = `mark ${mark.phase} ${mark.how}`;
  const title = make("title", {}, mark.text);
  if (mark.strength === "attempted") {
    return make("path", { d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8`, class: `${kind} attempted` }, title);
  }
  return make("circle", { cx: x, cy: y, r: 5, class: `${kind} ${mark.strength}` }, title);
}

/** What colours and signs mean. */
function legend() {
  const one = (phase) => make("span", {}, make("span", { class: `dot ${phase}` }), phase);
  return make(
    "p",
    { class: "legend", "aria-hidden": "true" },
    ["setup", "call", "teardown"].map(one),
    make("span", {}, "● sent"),
    make("span", {}, "○ connected"),
    make("span", {}, "× attempted"),
  );
}
