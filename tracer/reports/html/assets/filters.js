// Filters: from a state to the numbers of the tests that it selects.

/** Conditions of a state's keys: key → (suite, value) → a function of a test. */
const CONDITIONS = {
  q(suite, value) {
    const words = value.toLowerCase().split(/\s+/).filter(Boolean);
    return (test) => words.every((word) => suite.lower[test].includes(word));
  },
  service(suite, value) {
    const sets = suite.combinations.map((names) => names.includes(value));
    const exact = suite.sets.map((set, number) => sets[number] || set.some((one) => suite.services[one] === value));
    return (test) => exact[suite.tests.uses[test]];
  },
  exactly(suite, value) {
    const sets = suite.combinations.map((names) => names.join(",") === value);
    return (test) => sets[suite.tests.uses[test]];
  },
  dir(suite, value) {
    const path = value.replace(/\/$/, "");
    const inside = (id) => id === path || id.startsWith(`${path}/`) || id.startsWith(`${path}::`);
    return path === "." || path === "" ? () => true : (test) => inside(suite.ids[test]);
  },
  fixture(suite, value) {
    const number = suite.fixtures.indexOf(value);
    const facts = suite.facts.map((fixtures) => fixtures.includes(number));
    return (test) => facts[suite.tests.facts[test]] ?? false;
  },
  outcome(suite, value) {
    const number = suite.outcomes.indexOf(value);
    return (test) => suite.tests.outcome[test] === number;
  },
  tier(suite, value) {
    const number = suite.tiers.indexOf(value);
    return (test) => suite.tests.tier[test] === number;
  },
  verdict(suite, value) {
    const [verdict, without] = split(value, ":");
    const number = suite.verdicts.indexOf(verdict);
    const trials = suite.trials.filter((trial) => without === "" || trial.without === without);
    return (test) => trials.some((trial) => trial.verdict[test] === number);
  },
  finding(suite, value) {
    const [kind, subject] = split(value, ":");
    const subjects = suite.findings[kind] ?? {};
    const lists = subject === "" ? Object.values(subjects) : [subjects[subject] ?? []];
    const found = new Set(lists.flat());
    return (test) => found.has(test);
  },
  from: (suite, value) => (test) => suite.seconds(test) >= Number(value),
  to: (suite, value) => (test) => suite.seconds(test) < (value === "inf" ? Infinity : Number(value)),
};

function split(text, separator) {
  const place = text.indexOf(separator);
  return place < 0 ? [text, ""] : [text.slice(0, place), text.slice(place + 1)];
}

/** The tests that a state selects, in its order. */
function select(suite, state) {
  const conditions = Object.keys(CONDITIONS)
    .filter((key) => state[key] !== undefined)
    .map((key) => CONDITIONS[key](suite, state[key]));
  const found = [];
  for (let test = 0; test < suite.size; test++) if (conditions.every((holds) => holds(test))) found.push(test);
  return sorted(suite, found, state.sort);
}

/** Tests in an order: `name`, `duration`, `outcome`; with `-` before it, reversed. Otherwise as they ended. */
function sorted(suite, tests, order = "") {
  const text = (one, other) => (suite.ids[one] < suite.ids[other] ? -1 : suite.ids[one] > suite.ids[other] ? 1 : 0);
  const orders = {
    name: text,
    duration: (one, other) => suite.tests.duration_us[one] - suite.tests.duration_us[other],
    outcome: (one, other) => suite.tests.outcome[one] - suite.tests.outcome[other],
  };
  const compare = orders[order.replace(/^-/, "")];
  if (compare === undefined) return tests;
  return tests.sort(order.startsWith("-") ? (one, other) => compare(other, one) : compare);
}
