"""Which spans were open: examples, and every answer compared with a list of all that ever happened."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracer.trace.ids import ProcessId, SpanId, Tid
from tracer.trace.timeline import Timeline

COMMAND, CHILD, GRANDCHILD = map(ProcessId, (1, 2, 3))


class PlainTimeline(Timeline):
    """A timeline that takes plain integers."""

    def fork(self, process: int, parent: int) -> None:
        super().fork(ProcessId(process), ProcessId(parent))

    def open(self, process: int, tid: int, span: int, ns: int, *, test: bool = False) -> None:
        super().open(ProcessId(process), Tid(tid), SpanId(span), ns, test=test)

    def close(self, process: int, tid: int, span: int, ns: int) -> list[SpanId]:
        return super().close(ProcessId(process), Tid(tid), SpanId(span), ns)

    def exit(self, process: int, ns: int) -> list[SpanId]:
        return super().exit(ProcessId(process), ns)

    def enclosing(self, process: int, tid: int, ns: int) -> SpanId:
        return super().enclosing(ProcessId(process), Tid(tid), ns)

    def at(self, process: int, tid: int, ns: int) -> tuple[SpanId, ...]:
        return super().at(ProcessId(process), Tid(tid), ns)

    def asking(self, process: int, tid: int, cause_ns: int, ns: int) -> SpanId:
        return super().asking(ProcessId(process), Tid(tid), cause_ns, ns)

    def is_unsure(self, process: int, tid: int, from_ns: int, to_ns: int, ns: int) -> bool:
        return super().is_unsure(ProcessId(process), Tid(tid), from_ns, to_ns, ns)

    def owns_spans(self, process: int, tid: int, ns: int) -> bool:
        return super().owns_spans(ProcessId(process), Tid(tid), ns)


@pytest.fixture
def timeline() -> PlainTimeline:
    """A command with a child and a grandchild."""
    made = PlainTimeline()
    for process in (COMMAND, CHILD, GRANDCHILD):
        made.fork(process, process - 1)
    return made


def test_nothing_is_open_without_a_runner(timeline: PlainTimeline) -> None:
    assert timeline.at(GRANDCHILD, 7, 100) == ()
    assert timeline.at(99, 7, 100) == ()  # whose birth was lost
    assert timeline.enclosing(COMMAND, 7, 100) == 0
    assert not timeline.owns_spans(COMMAND, 7, 100)
    assert list(timeline.ancestors(GRANDCHILD)) == [3, 2, 1]


def test_the_innermost_span_counts_from_its_opening_until_it_closes(timeline: PlainTimeline) -> None:
    timeline.open(COMMAND, 1, 10, 100)
    timeline.open(COMMAND, 1, 11, 200)
    assert timeline.close(COMMAND, 1, 11, 300) == [11]
    assert timeline.close(COMMAND, 1, 10, 400) == [10]
    assert [timeline.at(COMMAND, 1, ns) for ns in (99, 100, 199, 200, 299, 300, 399, 400)] == [
        *((), (10,), (10,), (11,), (11,), (10,), (10,), ()),
    ]
    assert [timeline.owns_spans(COMMAND, 1, ns) for ns in (99, 100, 500)] == [False, True, True]


def test_a_cause_counts_since_the_test_around_the_span_opened(timeline: PlainTimeline) -> None:
    timeline.open(COMMAND, 1, 10, 100)
    timeline.open(COMMAND, 1, 11, 200, test=True)
    timeline.open(COMMAND, 1, 12, 300)
    assert [timeline.asking(COMMAND, 1, cause_ns, 310) for cause_ns in (199, 200, 299, 310)] == [0, 12, 12, 12]
    assert timeline.asking(COMMAND, 2, 305, 310) == 0  # another thread
    timeline.open(COMMAND, 1, 13, 400, test=True)  # a test within the test
    assert [timeline.asking(COMMAND, 1, cause_ns, 410) for cause_ns in (399, 400)] == [0, 13]
    timeline.close(COMMAND, 1, 13, 450)
    timeline.close(COMMAND, 1, 11, 500)
    assert [timeline.asking(COMMAND, 1, cause_ns, 510) for cause_ns in (99, 100)] == [0, 10]
    timeline.close(COMMAND, 1, 10, 600)
    assert timeline.asking(COMMAND, 1, 610, 610) == 0


def test_an_unsure_cause_counts_for_each_span_of_the_event(timeline: PlainTimeline) -> None:
    timeline.open(COMMAND, 1, 10, 100)
    timeline.open(COMMAND, 1, 11, 200, test=True)
    assert [timeline.is_unsure(COMMAND, 9, 150, to_ns, 210) for to_ns in (199, 200)] == [False, True]
    assert [timeline.is_unsure(COMMAND, 9, from_ns, 205, 210) for from_ns in (199, 200)] == [True, False]
    timeline.open(COMMAND, 2, 12, 150, test=True)
    assert [timeline.is_unsure(COMMAND, 9, 120, to_ns, 210) for to_ns in (149, 150)] == [False, True]
    assert not timeline.is_unsure(COMMAND, 9, 50, 99, 99)  # no span was open


def test_closing_a_span_closes_what_is_inside(timeline: PlainTimeline) -> None:
    for span in (10, 11, 12):
        timeline.open(COMMAND, 1, span, span)
    assert timeline.close(COMMAND, 1, 11, 20) == [12, 11]
    assert timeline.close(COMMAND, 1, 12, 21) == []
    assert timeline.close(COMMAND, 2, 10, 22) == []  # another thread's
    assert timeline.at(COMMAND, 1, 30) == (10,)


def test_other_threads_fall_into_the_runners_spans(timeline: PlainTimeline) -> None:
    timeline.open(COMMAND, 1, 10, 100)
    assert timeline.at(COMMAND, 5, 150) == (10,)
    timeline.open(COMMAND, 2, 20, 200)
    assert set(timeline.at(COMMAND, 5, 250)) == {10, 20}
    assert timeline.at(COMMAND, 1, 250) == (10,)  # its own wins
    assert timeline.at(COMMAND, 2, 150) == (10,)  # its own was not open yet
    assert not timeline.owns_spans(COMMAND, 5, 300)


def test_the_nearest_runner_with_an_open_span_counts(timeline: PlainTimeline) -> None:
    timeline.open(COMMAND, 1, 10, 100)
    assert timeline.at(GRANDCHILD, 1, 150) == (10,)
    timeline.open(CHILD, 1, 20, 200)
    assert timeline.at(GRANDCHILD, 1, 250) == (20,)
    timeline.close(CHILD, 1, 20, 300)
    assert timeline.at(GRANDCHILD, 1, 350) == (10,)
    assert timeline.at(GRANDCHILD, 1, 250) == (20,)  # asked late


def test_a_forked_child_does_not_own_its_parents_thread(timeline: PlainTimeline) -> None:
    """A child's first thread may have the tid of a thread that its parent had."""
    timeline.open(COMMAND, 1, 10, 100)
    timeline.open(COMMAND, 2, 20, 100)
    assert set(timeline.at(CHILD, 1, 150)) == {10, 20}


def test_an_exit_closes_everything_in_the_process(timeline: PlainTimeline) -> None:
    timeline.open(COMMAND, 1, 10, 100)
    timeline.open(CHILD, 1, 20, 200)
    timeline.open(CHILD, 1, 21, 210)
    timeline.open(CHILD, 2, 22, 220)
    assert timeline.exit(CHILD, 300) == [21, 20, 22]
    assert timeline.exit(CHILD, 301) == []
    assert timeline.at(GRANDCHILD, 1, 299) != (10,)
    assert timeline.at(GRANDCHILD, 1, 300) == (10,)
    assert timeline.exit(GRANDCHILD, 302) == []


def test_what_nobody_asks_any_more_is_forgotten_and_nothing_else(timeline: PlainTimeline) -> None:
    spans = 10_000
    for span in range(1, spans + 1):
        timeline.open(COMMAND, 1, span, 10 * span)
        timeline.close(COMMAND, 1, span, 10 * span + 5)
    timeline.forget_before(10 * 9_000 + 3)
    for span in range(9_000, spans + 1):
        assert timeline.at(COMMAND, 1, 10 * span + 4) == (span,)
        assert timeline.at(COMMAND, 1, 10 * span + 5) == ()
    (track,) = timeline._runners[COMMAND].values()
    assert len(track.times) == len(track.innermost) == 2 * 1_000 + 2


def test_a_process_that_is_forgotten_was_never_there(timeline: PlainTimeline) -> None:
    timeline.open(CHILD, 1, 20, 100)
    timeline.exit(CHILD, 200)
    timeline.forget_process(CHILD)
    timeline.forget_before(300)
    assert timeline.at(CHILD, 1, 150) == ()
    assert list(timeline.ancestors(CHILD)) == [CHILD]
    assert not timeline.owns_spans(CHILD, 1, 300)


@dataclass(slots=True)
class Oracle:
    """All spans that ever were; every answer is a search through them."""

    parents: dict[int, int]
    spans: list[tuple[int, int, int, int, float]] = field(default_factory=list)  # process, tid, span, from, until

    def open(self, process: int, tid: int, span: int, ns: int) -> None:
        self.spans.append((process, tid, span, ns, float("inf")))

    def end(self, spans: Collection[int], ns: int) -> None:
        self.spans = [(*one[:4], ns) if one[2] in spans and one[4] > ns else one for one in self.spans]

    def at(self, process: int, tid: int, ns: int) -> set[int]:
        runner = process
        while runner:
            innermost: dict[int, tuple[int, int]] = {}
            for owner, thread, span, begin, until in self.spans:
                if owner == runner and begin <= ns < until:
                    innermost[thread] = max(innermost.get(thread, (0, 0)), (begin, span))
            if runner == process and tid in innermost:
                return {innermost[tid][1]}
            if innermost:
                return {span for _, span in innermost.values()}
            runner = self.parents.get(runner, 0)
        return set()


processes, tids = st.integers(1, 4), st.integers(1, 3)
changes = st.lists(
    st.tuples(st.sampled_from(["open", "open", "close", "exit"]), processes, tids, st.integers(0, 30)), max_size=60
)


@given(changes, st.lists(st.tuples(processes, tids, st.integers(0, 70)), max_size=60))
def test_any_history_is_answered_as_a_search_would(
    changes: list[tuple[str, int, int, int]], questions: list[tuple[int, int, int]]
) -> None:
    """Processes 2 and 3 are children of 1, and 4 of 3; each change comes a nanosecond after the one before."""
    parents = {1: 0, 2: 1, 3: 1, 4: 3}
    timeline, oracle = PlainTimeline(), Oracle(parents)
    for process, parent in parents.items():
        timeline.fork(process, parent)
    ended: list[SpanId] = []
    for ns, (change, process, tid, number) in enumerate(changes, 1):
        if change == "open":
            timeline.open(process, tid, ns, ns)
            oracle.open(process, tid, ns, ns)
            continue
        closed = timeline.close(process, tid, number, ns) if change == "close" else timeline.exit(process, ns)
        ended += closed
        oracle.end(closed, ns)
    assert len(set(ended)) == len(ended)
    for process, tid, ns in questions:
        answer = timeline.at(process, tid, ns)
        assert len(set(answer)) == len(answer)
        assert set(answer) == oracle.at(process, tid, ns)
        assert timeline.enclosing(process, tid, ns) == (answer[0] if answer else 0)
