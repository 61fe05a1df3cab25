"""Socket events fold into flows: each into one, none lost, whatever turns they come in."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Iterable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import plain

from tracer.record import flows as module
from tracer.record.capture.protocol import UNKNOWN_CAUSE, Kind, SocketEvent, TaskEvent
from tracer.record.flows import Flows
from tracer.record.processes import Processes
from tracer.trace import records
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NO_PROCESS, NetworkNamespace, ProcessId, SpanId, Tid
from tracer.trace.timeline import Timeline

POSTGRES, REDIS = Endpoint("tcp", "127.0.0.1", 5432), Endpoint("tcp", "127.0.0.1", 6379)
STATSD: Final = Endpoint("udp", "127.0.0.1", 8125)
RUNNER, CHILD, TEST_THREAD, OTHER_THREAD = ProcessId(1), ProcessId(2), Tid(100), Tid(101)
Flow, Listen = plain(records.Flow), plain(records.Listen)
NETWORK: Final = NetworkNamespace(4026531840)


@pytest.fixture
def timeline() -> Timeline:
    """A runner with a span 7 from 100 on, and a child."""
    made = Timeline()
    made.fork(RUNNER, NO_PROCESS)
    made.fork(CHILD, RUNNER)
    made.open(RUNNER, TEST_THREAD, SpanId(7), 100)
    return made


@pytest.fixture
def flows(timeline: Timeline) -> Flows:
    return Flows(timeline, Processes(timeline))


def send(ns: int, size: int, **changes: object) -> SocketEvent:
    event = plain(SocketEvent)(ns, Kind.SEND, RUNNER, TEST_THREAD, 5, NETWORK, POSTGRES, size)
    return event._replace(**changes)  # type: ignore[arg-type]  # fields by name


def fold(flows: Flows, *events: SocketEvent) -> list[records.Flow]:
    for event in events:
        assert flows.add(event) is None
    return list(flows.take_all())


def test_sends_of_a_thread_on_a_socket_in_a_span_are_one_flow(flows: Flows) -> None:
    (flow,) = fold(flows, send(110, 3), send(120, 5), send(130, 0))
    assert flow == Flow(RUNNER, TEST_THREAD, 5, POSTGRES, (7,), 110, 130, sends=3, bytes=8, network=NETWORK)


def test_counted_sends_add_up(flows: Flows) -> None:
    (flow,) = fold(flows, send(110, 3), send(110, 500, sends=100, last_ns=190, head=b"ping", tid=TEST_THREAD))
    assert (flow.sends, flow.bytes, flow.first_ns, flow.last_ns) == (101, 503, 110, 190)
    (flow,) = fold(flows, send(110, 500, sends=100, last_ns=190, head=b"ping", tid=OTHER_THREAD))
    assert flow.heads == {b"ping".hex(): 100}


def caused(ns: int, cause_ns: int, tid: Tid = TEST_THREAD, **changes: object) -> SocketEvent:
    """A send of another thread, which a runner's thread caused."""
    return send(ns, 1, tid=OTHER_THREAD, cause_ns=cause_ns, cause_process=RUNNER, cause_tid=tid, **changes)


def test_what_was_asked_for_is_counted(flows: Flows) -> None:
    (flow,) = fold(flows, caused(110, 99), caused(120, 105, sends=10), caused(130, 105), caused(140, 0))
    assert (flow.sends, flow.asked) == (13, 11)
    (flow,) = fold(flows, caused(110, 99))
    assert flow.asked == 0
    (flow,) = fold(flows, send(110, 1, cause_ns=110, cause_process=RUNNER, cause_tid=TEST_THREAD))
    assert flow.asked == 1
    (flow,) = fold(flows, send(110, 1))
    assert flow.asked is None


def test_what_may_have_been_asked_for_is_counted(flows: Flows) -> None:
    """The test began at 100."""
    before, since = (caused(110, 0, unsure_from_ns=90, unsure_to_ns=to_ns, sends=10) for to_ns in (99, 100))
    later = caused(120, 0, unsure_from_ns=100, unsure_to_ns=115)
    (flow,) = fold(flows, before, since, later, caused(130, 105, unsure_from_ns=90, unsure_to_ns=120))
    assert (flow.sends, flow.asked, flow.unsure) == (22, 1, 10)


def test_failed_sends_and_attempts_can_be_asked_for(flows: Flows) -> None:
    began = caused(120, 110, kind=Kind.CONNECT, result=0)
    (flow,) = fold(
        flows,
        caused(110, 105, result=-errno.EPIPE),
        began,
        began._replace(ns=130, kind=Kind.CONNECT_RESULT, since_ns=120),
        caused(140, 110, kind=Kind.CONNECT_RESULT, result=-errno.ENOENT),
    )
    assert (flow.sends, flow.connects, flow.asked) == (0, 2, 3)


def test_of_several_spans_the_one_that_asked_is_the_first(flows: Flows, timeline: Timeline) -> None:
    timeline.open(RUNNER, Tid(102), SpanId(8), 100)
    began = caused(110, 105, Tid(102), kind=Kind.CONNECT, result=0)
    result = began._replace(ns=190, kind=Kind.CONNECT_RESULT, since_ns=110, cause_ns=UNKNOWN_CAUSE)
    told = fold(flows, began, caused(120, 105), caused(130, 105, Tid(102)), caused(140, 99), result)
    assert {flow.spans: (flow.connects, flow.established, flow.sends, flow.asked) for flow in told} == {
        (8, 7): (1, 1, 1, 2),
        (7, 8): (0, 0, 2, 1),
    }


def test_what_tells_two_flows_apart(flows: Flows) -> None:
    told = fold(
        flows,
        send(90, 1),  # before the span
        send(110, 1),
        send(120, 1, socket=6),
        send(130, 1, endpoint=REDIS),
        send(140, 1, tid=OTHER_THREAD),
        send(150, 1, process=CHILD),
    )
    assert [flow.sends for flow in told] == [1] * 6
    assert Counter(flow.spans for flow in told) == {(): 1, (7,): 5}


def test_an_attempt_belongs_where_it_began(flows: Flows, timeline: Timeline) -> None:
    """Its result comes after the span has closed."""
    flows.add(send(150, 0, kind=Kind.CONNECT))
    timeline.close(RUNNER, TEST_THREAD, SpanId(7), 160)
    (flow,) = fold(flows, send(200, -errno.ECONNREFUSED, kind=Kind.CONNECT_RESULT, since_ns=150))
    assert flow == Flow(
        *(RUNNER, TEST_THREAD, 5, POSTGRES, (7,), 150, 200),
        connects=1, errors={"ECONNREFUSED": 1}, network=NETWORK,
    )  # fmt: skip


def test_attempts_are_counted_once(flows: Flows) -> None:
    announced = [send(110, 0, kind=Kind.CONNECT), send(120, 0, kind=Kind.CONNECT_RESULT, since_ns=110)]
    whole = [send(130, 0, kind=Kind.CONNECT_RESULT), send(140, -errno.ENOENT, kind=Kind.CONNECT_RESULT)]
    (flow,) = fold(flows, *announced, *whole)
    assert (flow.connects, flow.established, flow.errors, flow.sends) == (3, 2, {"ENOENT": 1}, 0)


def test_failed_sends_are_errors(flows: Flows) -> None:
    (flow,) = fold(flows, send(110, -errno.EPIPE), send(120, -errno.EPIPE), send(130, -9999), send(140, 4))
    assert (flow.sends, flow.bytes, flow.errors) == (1, 4, {"EPIPE": 2, "9999": 1})


def test_to_connect_a_udp_socket_is_no_attempt(flows: Flows, timeline: Timeline) -> None:
    """It tells where the socket was opened; only sends reach anybody."""
    connect = send(110, 0, kind=Kind.CONNECT_RESULT, endpoint=STATSD)
    flows.add(connect)
    flows.add(connect._replace(ns=120, result=-errno.ENETUNREACH))
    timeline.open(RUNNER, TEST_THREAD, SpanId(8), 200)
    opened, used = fold(flows, send(210, 3, endpoint=STATSD), send(220, -errno.ECONNREFUSED, endpoint=STATSD))
    assert opened == Flow(RUNNER, TEST_THREAD, 5, STATSD, (7,), 110, 120, network=NETWORK)
    assert (used.connects, used.established, used.sends, used.errors) == (0, 0, 1, {"ECONNREFUSED": 1})


def test_to_connect_a_unix_socket_for_datagrams_is_an_attempt(flows: Flows) -> None:
    (flow,) = fold(
        flows, send(110, -errno.ENOENT, kind=Kind.CONNECT_RESULT, endpoint=Endpoint("unix", path="/run/missing"))
    )
    assert (flow.connects, flow.errors) == (1, {"ENOENT": 1})


def test_an_address_of_this_machine_may_be_told_by_any_event(flows: Flows) -> None:
    (flow,) = fold(flows, send(110, 1, local=True), send(120, 1))
    assert flow.local


@pytest.mark.parametrize("kind", [Kind.LISTEN, Kind.LISTEN_END])
def test_a_listener_is_no_flow(kind: Kind, flows: Flows) -> None:
    assert flows.add(send(110, 0, kind=kind)) == Listen(RUNNER, POSTGRES, NETWORK, 110, kind == Kind.LISTEN)
    assert list(flows.take_all()) == []


def test_first_bytes_are_kept_of_other_threads_and_of_a_runners_few_sends(flows: Flows) -> None:
    own, other = fold(
        flows,
        send(110, 9, head=b"SELECT 1", prefix=b"SELECT 1;"),
        send(120, 4, head=b"ping", prefix=b"ping", tid=OTHER_THREAD),
        send(130, 4, head=b"ping", tid=OTHER_THREAD),
        send(140, 4, head=b"ping", tid=OTHER_THREAD, sends=2),
        send(150, 5, head=b"X\0\0\0\x04"),
    )
    assert (own.prefixes, own.heads) == ((b"SELECT 1;".hex(),), {b"X\0\0\0\x04".hex(): 1})
    assert (other.prefixes, other.heads) == ((b"ping".hex(),), {b"ping".hex(): 3})


def test_first_bytes_of_a_runners_many_sends_are_not_kept(flows: Flows) -> None:
    """The sends of its tally may begin differently, and a flow with more than two sends is no goodbye."""
    begun = send(110, 9, head=b"SELECT 1")
    (tallied,) = fold(flows, begun, begun._replace(last_ns=120))
    assert (tallied.sends, tallied.heads) == (2, {b"SELECT 1".hex(): 1})
    (many,) = fold(flows, begun, send(120, 9, head=b"SELECT 2"), send(130, 9, head=b"SELECT 3"))
    assert (many.sends, many.heads) == (3, {})


def test_different_first_bytes_are_bounded(flows: Flows) -> None:
    distinct = [send(110 + n, 4, head=n.to_bytes(4, "big"), tid=OTHER_THREAD) for n in range(2 * module._HEADS)]
    (flow,) = fold(flows, *distinct, *distinct)
    assert flow.heads == {n.to_bytes(4, "big").hex(): 2 for n in range(module._HEADS)}
    assert flow.sends == 4 * module._HEADS


def test_the_listener_behind_a_unix_socket_is_a_process_of_the_tree(timeline: Timeline) -> None:
    processes = Processes(timeline)
    processes.apply(plain(TaskEvent)(50, Kind.EXEC, RUNNER, 10, 0, 10, 5010, 1, 50, "python", 0))
    flows = Flows(timeline, processes)
    own, foreign = fold(flows, send(110, 1, peer_pid=5010), send(120, 1, socket=6, peer_pid=4711))
    assert (own.peer, foreign.peer) == (RUNNER, 0)


def test_flows_of_closed_spans_are_taken(flows: Flows, timeline: Timeline) -> None:
    flows.add(send(110, 1))
    timeline.open(RUNNER, TEST_THREAD, SpanId(8), 200)
    flows.add(send(210, 1))
    assert list(flows.take(set())) == []
    assert [flow.spans for flow in flows.take({SpanId(8)})] == [(8,)]
    assert list(flows.take({SpanId(8)})) == []
    assert [flow.spans for flow in flows.take_all()] == [(7,)]


def test_a_place_that_grows_too_large_is_written_early(flows: Flows) -> None:
    for socket in range(module._OPEN_FLOWS):
        flows.add(send(110, 1, socket=socket))
    assert list(flows.take(set())) == []
    flows.add(send(110, 1, socket=module._OPEN_FLOWS))
    assert len(list(flows.take(set()))) == module._OPEN_FLOWS + 1
    (again,) = fold(flows, send(120, 2, socket=0))
    assert again.bytes == 2


events = st.lists(
    st.builds(
        SocketEvent,
        st.integers(0, 60),
        st.sampled_from([Kind.CONNECT, Kind.CONNECT_RESULT, Kind.SEND, Kind.SEND]),
        st.sampled_from([RUNNER, CHILD]),
        st.sampled_from([TEST_THREAD, OTHER_THREAD]),
        st.integers(1, 3),
        st.just(NETWORK),
        st.sampled_from([POSTGRES, REDIS]),
        st.integers(-3, 100),
        st.sampled_from([b"", b"ping"]),
        st.sampled_from([b"", b"ping pong"]),
        st.sampled_from([0, 0, 15]),
        st.just(0),
        st.booleans(),
        st.sampled_from([1, 1, 7]),
    ),
    max_size=40,
)


def summed(flows: Iterable[records.Flow]) -> dict[object, tuple[int, ...]]:
    """Flows with one key, added up."""
    sums: dict[object, tuple[int, ...]] = {}
    for flow in flows:
        key = (flow.process, flow.tid, flow.socket, flow.endpoint, flow.spans)
        values = (flow.sends, flow.bytes, flow.connects, flow.established, sum(flow.errors.values()))
        sums[key] = tuple(map(sum, zip(sums.get(key, (0,) * 5), values, strict=True)))
    return sums


@given(events, st.lists(st.integers(0, 40), max_size=5))
def test_turns_change_nothing_and_nothing_is_lost(events: list[SocketEvent], cuts: list[int]) -> None:
    timeline = Timeline()
    timeline.fork(RUNNER, NO_PROCESS)
    timeline.fork(CHILD, RUNNER)
    for span in range(1, 5):
        timeline.open(RUNNER, TEST_THREAD, SpanId(span), 10 * span)
        timeline.close(RUNNER, TEST_THREAD, SpanId(span), 10 * span + 7)
    whole, cut = Flows(timeline, Processes(timeline)), Flows(timeline, Processes(timeline))
    taken: list[records.Flow] = []
    for index, event in enumerate(events):
        whole.add(event)
        cut.add(event)
        if index in cuts:
            taken += cut.take({*map(SpanId, (1, 2, 3, 4))})
    taken += cut.take_all()
    told = summed(whole.take_all())
    assert summed(taken) == told
    sends = [event for event in events if event.kind == Kind.SEND and event.result >= 0]
    attempts = [
        event
        for event in events
        if event.kind != Kind.SEND and not (event.kind == Kind.CONNECT_RESULT and event.since_ns)
    ]
    assert tuple(map(sum, zip(*told.values(), strict=True))) == (
        (
            sum(event.sends for event in sends),
            sum(event.result for event in sends),
            len(attempts),
            sum(event.kind == Kind.CONNECT_RESULT and event.result == 0 for event in events),
            sum(event.result < 0 for event in events),
        )
        if events
        else ()
    )


def test_a_late_result_belongs_where_its_attempt_began(flows: Flows, timeline: Timeline) -> None:
    def event(kind: Kind, ns: int, since_ns: int = 0) -> SocketEvent:
        return plain(SocketEvent)(ns, kind, RUNNER, TEST_THREAD, 5, NETWORK, POSTGRES, 0, since_ns=since_ns)

    flows.add(event(Kind.CONNECT, 110))
    timeline.close(RUNNER, TEST_THREAD, SpanId(7), 120)
    timeline.forget_before(10_000)
    flows.add(event(Kind.CONNECT_RESULT, 10_001, since_ns=110))
    (flow,) = flows.take_all()
    assert (flow.spans, flow.connects, flow.established) == ((7,), 1, 1)
