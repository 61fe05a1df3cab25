"""The page of a plan: what it saves, its shards, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import to_builtins

from tracer.classify.guesses import Guesses
from tracer.classify.model import ALL_UNKNOWN
from tracer.classify.plan.fixtures import Freed
from tracer.classify.plan.plan import SCHEMA, Plan, Shard, Totals
from tracer.classify.selection import Unit
from tracer.reports import blocks
from tracer.reports.blocks import Styled
from tracer.reports.fixture_names import known_fixture
from tracer.reports.guess_text import guess_text
from tracer.reports.json_document import line, listed
from tracer.reports.shard_files import ShardsDocument
from tracer.reports.text import counted, duration, first

_FIXTURES_LISTED: Final = 5
_SERVICES_LISTED: Final = 8
_NOTHING: Final = 0.01
"""A saving below this part is none: durations vary more from run to run."""


@dataclass(frozen=True, slots=True)
class PlanDocument(ShardsDocument):
    """A plan, and what the formats need to know beside it."""

    plan: Plan
    unit: Unit  # what stays together, and what the shards' files name
    workers: int
    start_up_s: Mapping[str, float]
    guessed_costs: tuple[str, ...] = ()  # services whose start-up cost is a guess
    fixtures: tuple[Freed, ...] = ()  # what would free tests
    without: str | None = None  # the fixture that is supposed to use no service
    before: Plan | None = None  # the plan with that fixture
    freed: int = 0  # tests that need fewer services without it
    guesses: Guesses | None = None  # of unknown tests; None: they need everything
    unknown_tests: int = 0  # tests that need everything, because nothing is known about them
    is_complete: bool = True  # whether the report is
    has_set_ups: bool = True  # whether the report has the times of set-ups and of the session
    durations: Mapping[str, float] = field(default_factory=dict)  # node id → seconds, as of pytest-split

    def page(self) -> Iterator[blocks.Block]:
        """The saving first, then the shards."""
        plan = self.plan
        yield _headline(plan)
        if self.without is not None and self.before is not None:
            yield blocks.Line(_what_if(self.without, self.freed, self.before, plan))
        elif listed_fixtures := [one for one in self.fixtures if one.tests > 1][:_FIXTURES_LISTED]:
            yield _fixtures(listed_fixtures)
        yield _comparison(plan)
        if plan.tierings:
            yield _tierings(plan)
            yield blocks.Line(_another_tier(plan))
        yield shards_table(plan.shards)
        yield from self._notices()

    def _notices(self) -> Iterator[blocks.Block]:
        plan = self.plan
        if self.guesses is not None and self.guesses.guessed:
            yield blocks.Line(f"Guessed: {guess_text(self.guesses)}.")
        if self.unknown_tests:
            tests = counted(self.unknown_tests, "test")
            hint = "" if self.guesses is not None else "With --guess, they get what similar tests need."
            yield blocks.Notice(f"nothing is known about {tests}: they run where every service is started.", hint)
        if self.guessed_costs:
            costs = [f"{name} {self.start_up_s[name]:g} s" for name in self.guessed_costs]
            yield blocks.Notice(
                f"start-up costs are guesses: {first(costs, _SERVICES_LISTED)}.",
                "Measure them in your CI, and give them by --start-up SERVICE=SECONDS or in the configuration.",
            )
        if any(ALL_UNKNOWN in shard.services for shard in plan.shards):
            yield blocks.Notice(
                "some tests use endpoints that no rule names: the plan cannot start them.",
                "Name them in the configuration, as `[services.NAME]`.",
            )
        if plan.deadline_s is not None and plan.totals.makespan_s > plan.deadline_s:
            yield blocks.Notice("no plan was found that ends by the deadline: this one ends first")
        if len(plan.shards) < plan.asked_shards:
            yield blocks.Line(f"{len(plan.shards)} of {plan.asked_shards} shards suffice: more would not end earlier.")
        if not self.is_complete:
            yield blocks.Notice("the report is not complete: its tests may need more services than it says")
        if not self.has_set_ups:
            yield blocks.Notice(
                "an older svc-trace made the report: the times of shared fixtures and imports are unknown.",
                "Trace the suite again.",
            )

    def shards(self) -> Sequence[Shard]:
        """The plan's."""
        return self.plan.shards

    def seconds(self) -> Mapping[str, float]:
        """Of each test of the report, and of those that only pytest-split has timed."""
        return self.durations

    def json(self) -> Iterator[bytes]:
        """The plan, one shard on a line."""
        yield b'{\n  "schema": %b,\n  "shards": [' % line(SCHEMA)
        yield from listed(line(to_builtins(shard)) for shard in self.plan.shards)
        yield b"\n  ],\n"
        members = [b"  %b: %b" % (line(name), line(value)) for name, value in self._members().items()]
        yield b",\n".join(members) + b"\n}\n"

    def _members(self) -> dict[str, Any]:
        plan = self.plan
        members: dict[str, Any] = {
            "makespan_s": plan.totals.makespan_s,
            "machine_s": plan.totals.machine_s,
            "everything_s": plan.everything.makespan_s,
            "everything_machine_s": plan.everything.machine_s,
            "by_count_s": plan.by_count.makespan_s,
            "by_count_machine_s": plan.by_count.machine_s,
            "lower_bound_s": plan.lower_bound_s,
            "by": self.unit,
            "workers": self.workers,
            "start_up_s": dict(self.start_up_s),
            "guessed_start_up": list(self.guessed_costs),
            "unknown_tests": self.unknown_tests,
            "fixtures": [to_builtins(one._asdict()) for one in self.fixtures],
        }
        if self.guesses is not None:
            members["guesses"] = {
                basis: {"tests": tests, "known": recall.tests, "sufficed": recall.sufficed}
                for basis, tests in self.guesses.guessed.items()
                if (recall := self.guesses.recall[basis])
            }
        if plan.tierings:
            members["tiers"] = to_builtins(plan.tierings)
        if self.without is not None and self.before is not None:
            members["without_fixture"] = {
                "fixture": self.without,
                "freed": self.freed,
                "makespan_before_s": self.before.totals.makespan_s,
                "machine_before_s": self.before.totals.machine_s,
            }
        return members


def _headline(plan: Plan) -> blocks.Headline:
    shards = Styled(counted(len(plan.shards), "shard"), "strong")
    made = (shards, f", the slowest takes {duration(plan.totals.makespan_s)}: ")
    return blocks.Headline((*made, *_saving(plan.everything, plan.totals)), (_bound(plan),))


def _saving(before: Totals, after: Totals) -> tuple[str | Styled, ...]:
    """What a plan saves, or that it saves nothing."""
    faster = _ratio(before.makespan_s, after.makespan_s)
    cheaper = _ratio(before.machine_s, after.machine_s)
    if max(faster, cheaper) < _NOTHING:
        return (Styled("no better than every service in every shard", "strong bad"),)
    text = (
        f"{_change(before.makespan_s, after.makespan_s) or 'the same'} wall clock, "
        f"{_change(before.machine_s, after.machine_s) or 'the same'} machine minutes"
    )
    style = "strong good" if min(faster, cheaper) > -_NOTHING else "strong warning"
    return (Styled(text, style), " compared with every service in every shard")


def _ratio(before: float, after: float) -> float:
    return (before - after) / before if before else 0.0


def _change(before: float, after: float) -> str:
    """A change in percent; empty if there is none."""
    percents = round(-100 * _ratio(before, after))
    return f"{percents:+d}%" if percents else ""


def _bound(plan: Plan) -> str:
    least = f"No plan with {counted(plan.asked_shards, 'shard')} ends before {duration(plan.lower_bound_s)}"
    if plan.totals.makespan_s <= plan.lower_bound_s:
        return f"{least}: this one is the best."
    more = 100 * (plan.totals.makespan_s / plan.lower_bound_s - 1) if plan.lower_bound_s else 0.0
    return f"{least}; this one takes {more:.1f} % more." if more >= 0.05 else f"{least}."


def _comparison(plan: Plan) -> blocks.Table:
    base = plan.everything
    rows = (
        _row("every service, split by number of tests", plan.by_count, base),
        _row("every service, split by duration", base, base),
        _row(Styled("this plan", "strong"), plan.totals, base),
        (Styled("no plan ends before", "dim"), duration(plan.lower_bound_s), ""),
    )
    return blocks.Table(("", "Wall clock", "Machine minutes"), rows, "lrr")


def _row(name: blocks.Text, one: Totals, base: Totals) -> tuple[blocks.Text, ...]:
    times = (
        (duration(one.makespan_s), _change(base.makespan_s, one.makespan_s)),
        (f"{one.machine_s / 60:,.1f}", _change(base.machine_s, one.machine_s)),
    )
    return (name, *(f"{value} ({change})" if change else value for value, change in times))


def shards_table(shards: Sequence[Shard]) -> blocks.Table:
    """Each shard: its tests, its times, its services."""
    rows = tuple(
        (
            str(number),
            f"{len(shard.tests):,}",
            duration(shard.start_up_s),
            duration(shard.tests_s),
            duration(shard.total_s),
            ", ".join(shard.services) or Styled("none", "dim"),
        )
        for number, shard in enumerate(shards, 1)
    )
    return blocks.Table(("Shard", "Tests", "Start-up", "Session and tests", "Total", "Services"), rows, "rrrrrl")


def _fixtures(fixtures: Sequence[Freed]) -> blocks.Table:
    rows = tuple((known_fixture(one.fixture), f"{one.tests:,}", first(one.services)) for one in fixtures)
    return blocks.Table(("If this fixture used no service", "Tests that need less", "Services"), rows, "lrl")


def _what_if(fixture: str, freed: int, before: Plan, after: Plan) -> str:
    old, new = before.totals, after.totals
    needs = f"If {known_fixture(fixture)} used no service, {counted(freed, 'test')} would need less."
    if max(_ratio(old.makespan_s, new.makespan_s), _ratio(old.machine_s, new.machine_s)) < _NOTHING:
        return f"{needs} That would save nothing: the plan would take {duration(new.makespan_s)} in any case."
    return (
        f"{needs} The plan would take {duration(new.makespan_s)} instead of {duration(old.makespan_s)}, and "
        f"{new.machine_s / 60:,.1f} instead of {old.machine_s / 60:,.1f} machine minutes."
    )


def _tierings(plan: Plan) -> blocks.Table:
    rows = tuple(
        (
            str(len(one.sets)),
            duration(one.totals.makespan_s),
            f"{one.totals.machine_s / 60:,.1f}",
            "; ".join(", ".join(services) or "none" for services in one.sets),
        )
        for one in plan.tierings
    )
    return blocks.Table(("Tiers", "Wall clock", "Machine minutes", "Services"), rows, "rrrl")


def _another_tier(plan: Plan) -> str:
    """Whether one tier more would pay."""
    if plan.asked_tiers is None or len(plan.tierings) <= plan.asked_tiers:
        return "Another tier would not help."
    last, more = plan.tierings[-2:]
    wall = _change(last.totals.makespan_s, more.totals.makespan_s)
    machine = _change(last.totals.machine_s, more.totals.machine_s)
    if "-" not in wall + machine:
        return "Another tier would save nothing."
    return f"Another tier: {wall or 'the same'} wall clock, {machine or 'the same'} machine minutes."
