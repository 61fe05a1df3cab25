// The view of a test: what it uses and why, in words, and when.

class TestView {
  constructor(dialog, suite, neighbours) {
    this.dialog = dialog;
    this.suite = suite;
    this.neighbours = neighbours; // a function: the tests of the list
    dialog.onclose = () => this.closed();
    dialog.onclick = (event) => event.target === dialog && dialog.close();
    dialog.onkeydown = (event) => this.key(event);
  }

  /** Opens the test of a node id. */
  async open(id) {
    const test = this.suite.numbers.get(id);
    this.test = test;
    if (test === undefined) {
      this.draw(id, make("p", {}, "This report does not have this test."));
      return;
    }
    const details = await load("details");
    if (this.test !== test) return; // another one was opened meanwhile
    this.draw(id, ...this.content(test, details));
  }

  draw(id, ...content) {
    const [file, ...names] = id.split("::");
    const command = `pytest ${quoted(id)}`;
    const copyButton = make("button", { type: "button", class: "quiet" }, "Copy command");
    copyButton.onclick = () => copy(command, copyButton, title);
    const title = make(
      "h2",
      { id: "test-title", tabindex: "-1" },
      make("span", { class: "file" }, names.length ? `${file}::` : ""),
      names.length ? names.join("::") : file,
    );
    const step = (label, key, by) =>
      make("button", { type: "button", class: "quiet", onclick: () => this.step(by), title: `Key ${key}` }, label);
    const close = make("button", { type: "button", class: "quiet close", onclick: () => this.dialog.close() }, "Close");
    this.dialog.replaceChildren(
      make("div", { class: "tools" }, step("Previous", "K", -1), step("Next", "J", 1), copyButton, close),
      title,
      ...content,
    );
    this.dialog.scrollTop = 0;
    if (!this.dialog.open) this.dialog.showModal();
    title.focus();
  }

  content(test, details) {
    const { suite } = this;
    const evidence = this.evidence(test, details);
    const [first, ...lines] = details.lines[test].map((line) => details.texts[line]);
    const content = [
      make("p", { class: `verdict ${outcomeStyle(suite.outcome(test))}` }, first),
      make("ul", { class: "statements" }, lines.map((line) => make("li", {}, line))),
    ];
    const marks = evidence.filter((one) => one.seconds !== null);
    if (marks.length > 0) {
      const figure = make("figure", {}, timeline(marks, suite.seconds(test)), legend());
      content.push(make("h3", {}, "Timeline"), figure);
    }
    if (evidence.length > 0) content.push(make("h3", {}, "Evidence"));
    let title = null;
    let list = null;
    for (const one of evidence) {
      if (one.title !== title) {
        title = one.title;
        list = make("ul", { class: "evidence-list" });
        content.push(make("h4", {}, title), list);
      }
      list.append(make("li", {}, make("span", { class: `dot ${one.phase}` }), one.text));
    }
    if (details.runs.length > 0) content.push(make("h3", {}, "Runs"), this.runs(details.runs[test]));
    const combination = suite.combination(test);
    const same = combination.length ? `use exactly ${combination.join(" + ")}` : "use no service";
    content.push(
      make(
        "p",
        { class: "others" },
        make("a", { href: address({ dir: suite.files[suite.tests.file[test]] }) }, "All tests of this file"),
        make("a", { href: address({ exactly: combination.join(",") }) }, `All tests that ${same}`),
      ),
    );
    return content;
  }

  /** The evidence of a test, as texts and as marks of the timeline. */
  evidence(test, details) {
    const numbers = details.evidence[test];
    const found = [];
    for (let place = 0; place < numbers.length; place += 2) {
      const [service, title, before, after, phase, how, strength] = details.kinds[numbers[place]];
      const seconds = numbers[place + 1] < 0 ? null : numbers[place + 1] / 1e6;
      found.push({
        service: details.kindTexts[service],
        title: details.kindTexts[title],
        text: details.kindTexts[before] + (seconds === null ? "" : seconds.toFixed(3)) + details.kindTexts[after],
        phase: details.phases[phase] ?? "outside",
        how: details.hows[how],
        strength: details.strengths[strength],
        seconds,
      });
    }
    return found;
  }

  runs(runs) {
    return make("ul", {}, runs.map(([run, outcome]) => make("li", {}, `Run ${run + 1}: ${outcome}`)));
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = { j: 1, k: -1 }[event.key];
    if (step) this.step(step);
  }

  /** Opens the test before or after this one in the list. */
  step(by) {
    const tests = this.neighbours();
    const next = tests[tests.indexOf(this.test) + by];
    if (next !== undefined) show({ ...readState(), test: this.suite.ids[next] }, { replace: true });
  }

  closed() {
    const { test, ...state } = readState();
    if (test !== undefined) show(state);
  }
}

const BAD = ["failed", "error", "interrupted", "crashed"];

const outcomeStyle = (outcome) => (outcome === "passed" ? "good" : BAD.includes(outcome) ? "bad" : "warning");

/** A word for a shell. */
function quoted(text) {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}
