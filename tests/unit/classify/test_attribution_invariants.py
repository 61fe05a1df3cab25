"""What holds of every trace, whatever ran in it: nothing is lost, nothing counted twice, no order matters."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from plain import plain
from stories import TCP, UNIX, Story

from tracer.classify.attribution import attribute
from tracer.classify.classification import classify
from tracer.classify.model import Classification, Evidence
from tracer.classify.services.config import Config, load_config
from tracer.classify.services.identify import Identifier
from tracer.classify.services.rules import ServiceRule
from tracer.classify.services.values import Host
from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NO_FACTS, FactsNumber, InstanceId, ProcessId, SocketInode, SpanId, Tid
from tracer.trace.records import Flow, Listen, Process, Span, StaticFacts, Thread, Trace

N = TypeVar("N", bound=int)
K = TypeVar("K")
T = TypeVar("T")

chances = st.randoms(use_true_random=True)  # hypothesis's own choices make stories in which hardly anything happens


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    story = Story(draw(chances))
    story.add_steps(draw(st.integers(1, 60)))
    return story.trace()


@cache
def config() -> Config:
    """The default preset, and rules for hosts and paths."""
    default = load_config(None, Path("/"))
    gateway = {
        "users": ServiceRule(hosts=(Host(["a.*"]),), paths=("/users",)),
        "orders": ServiceRule(paths=("/orders",)),
        "b": ServiceRule(hosts=(Host(["b.*"]),), protocol="http"),
    }
    return replace(default, services=gateway | dict(default.services))


def classified(trace: Trace) -> Classification:
    return classify(trace, config(), generated_at=datetime(2026, 1, 1, tzinfo=UTC))


def shuffled(chance: random.Random, mapping: Mapping[K, T]) -> dict[K, T]:
    items = list(mapping.items())
    chance.shuffle(items)
    return dict(items)


Taker = tuple[object, ...]


def takings(trace: Trace) -> dict[Taker, list[int]]:
    """Taker → the indices of the flows it takes, each as often as it is counted.

    A flow's bytes are one hexadecimal digit of its own, so each sum shows its parts.
    """
    flows = tuple(replace(flow, bytes=1 << 4 * index) for index, flow in enumerate(trace.flows))
    attribution = attribute(replace(trace, flows=flows), Identifier(config()))
    found: dict[Taker, list[int]] = {}
    for taker, evidence in attribution._owned.items():
        digits = f"{sum(one.bytes for one in evidence):x}"[::-1]
        taken = [index for index, digit in enumerate(digits) for _ in range(int(digit, 16))]
        assert sum(one.sends for one in evidence) == sum(trace.flows[index].sends for index in taken)
        assert sum(one.connects for one in evidence) == sum(trace.flows[index].connects for index in taken)
        found[taker] = taken
    return found


def is_silent(flow: Flow) -> bool:
    failed_sends = sum(flow.errors.values()) - (flow.connects - flow.established)
    return flow.endpoint.protocol == "udp" and not flow.sends and failed_sends <= 0


def line(trace: Trace, span_id: SpanId) -> list[Span]:
    """From a span outwards."""
    span = trace.spans.get(span_id)
    return [span, *line(trace, span.parent)] if span else []


def taker_of(trace: Trace, span_id: SpanId) -> Taker:
    """Who takes what a runner's own thread sends in a span, found without any cleverness."""
    spans = line(trace, span_id)
    tests = [index for index, span in enumerate(spans) if span.kind == "test"]
    if tests:  # a session within the outermost test is a part of it, with all that is in it
        sessions = [index for index, span in enumerate(spans[: tests[-1]]) if span.kind == "session"]
        spans = spans[sessions[-1] + 1 if sessions else 0 :]
    for span in spans:
        if span.kind == "fixture" and trace.instances[InstanceId(int(span.subject or 0))].scope != "function":
            return "instance", span.subject, ""
        if span.kind == "test":
            return "test", span.id, ""
        if span.kind == "collection" and span.subject in modules_with_tests(trace):
            return "module", span.process, span.subject
    return "run", 0, ""


def modules_with_tests(trace: Trace) -> set[str]:
    """Those of which a test ran that is not within another one's session."""
    own = (attempt for attempt in trace.attempts if sum(span.kind == "test" for span in line(trace, attempt.span)) == 1)
    return {facts.path if (facts := trace.facts_of(attempt)) else attempt.nodeid.partition("::")[0] for attempt in own}


@given(traces())
def test_each_flow_ends_in_one_place_or_once_with_each_of_those_it_may_belong_to(trace: Trace) -> None:
    taken = takings(trace)
    assert all(len(set(flows)) == len(flows) for flows in taken.values())
    times = Counter(index for flows in taken.values() for index in flows)
    for index, flow in enumerate(trace.flows):
        places = {taker_of(trace, span) for span in flow.spans}
        assert times[index] <= max(1, len(places - {("run", 0, "")}))
        assert (times[index] == 0) == is_silent(flow)


@given(traces())
def test_what_a_runners_own_thread_sends_belongs_to_its_innermost_span(trace: Trace) -> None:
    taken = takings(trace)
    for index, flow in enumerate(trace.flows):
        if len(flow.spans) == 1 and not is_silent(flow):
            span = trace.spans[flow.spans[0]]
            if (span.process, span.tid) == (flow.process, flow.tid):
                assert index in taken[taker_of(trace, span.id)]


@given(traces())
def test_a_test_inherits_what_the_instances_it_requests_did_and_nothing_else(trace: Trace) -> None:
    attribution = attribute(trace, Identifier(config()))
    set_up: dict[InstanceId, Span] = {}
    for span in sorted(trace.spans.values(), key=lambda span: span.start_ns):
        if taker_of(trace, span.id) == ("instance", span.subject, ""):
            set_up.setdefault(InstanceId(int(span.subject or 0)), span)
    for attempt in attribution.attempts:
        requested = set(attempt.instances)
        requested.update(one for one, span in set_up.items() if trace.spans[attempt.span] in line(trace, span.id))
        while more := {one for known in requested for one in trace.instances[known].requires} - requested:
            requested |= more
        module = attempt.nodeid.partition("::")[0]
        takers: list[Taker] = [("instance", one, "") for one in requested]
        takers.append(("module", trace.spans[attempt.span].process, module))
        expected = Counter(
            replace(one, how="inherited", via=None)
            for taker, evidence in attribution._owned.items()
            if tuple(taker) in takers
            for one in evidence
        )
        inherited = [one for one in attribution.of(attempt) if one.how == "inherited"]
        assert Counter(replace(one, via=None) for one in inherited) == expected


@given(traces(), chances)
def test_the_order_of_records_does_not_matter(trace: Trace, chance: random.Random) -> None:
    order = {attempt.nodeid: chance.random() for attempt in trace.attempts}  # the attempts of one test keep theirs
    answers = [one for one in trace.host_names if one.source == "dns"]
    others = [one for one in trace.host_names if one.source != "dns"]  # a file's lines keep their order
    permuted = replace(
        trace,
        host_names=(*chance.sample(answers, len(answers)), *others),
        processes=shuffled(chance, trace.processes),
        threads=shuffled(chance, trace.threads),
        spans=shuffled(chance, trace.spans),
        instances=shuffled(chance, trace.instances),
        attempts=tuple(sorted(trace.attempts, key=lambda attempt: order[attempt.nodeid])),
        listens=tuple(shuffled(chance, dict(enumerate(trace.listens))).values()),
        flows=tuple(shuffled(chance, dict(enumerate(trace.flows))).values()),
    )
    assert classified(permuted) == classified(trace)


@given(traces(), st.integers(0, 1 << 40))
def test_the_beginning_of_time_does_not_matter(trace: Trace, shift_ns: int) -> None:
    def shift(record: T) -> T:
        names = ("start_ns", "end_ns", "first_ns", "last_ns")
        moved = {name: ns + shift_ns for name in names if (ns := getattr(record, name, None)) is not None}
        return replace(record, **moved)  # type: ignore[type-var]  # all of them are Structs

    moved = replace(
        trace,
        run=shift(trace.run),
        processes={id_: shift(process) for id_, process in trace.processes.items()},
        threads={key: shift(thread) for key, thread in trace.threads.items()},
        spans={id_: shift(span) for id_, span in trace.spans.items()},
        listens=tuple(map(shift, trace.listens)),
        host_names=tuple(replace(one, ns=one.ns + shift_ns) if one.ns else one for one in trace.host_names),
        flows=tuple(map(shift, trace.flows)),
        end=shift(trace.end) if trace.end else None,
    )
    assert classified(moved) == classified(trace)


def renumbered_facts(
    facts: tuple[StaticFacts, ...], chance: random.Random
) -> tuple[dict[FactsNumber, FactsNumber], tuple[StaticFacts, ...]]:
    """Old number → new number, and the facts in the order of the new ones, with others between them."""
    places = chance.sample(range(len(facts) + 3), len(facts))
    moved = [StaticFacts("unused.py", (), (), ())] * (len(facts) + 3)
    for place, one in zip(places, facts, strict=True):
        moved[place] = one
    new = {FactsNumber(number): FactsNumber(place + 1) for number, place in enumerate(places, 1)}
    return {NO_FACTS: NO_FACTS, **new}, tuple(moved)


@given(traces(), chances)
def test_numbers_mean_nothing(trace: Trace, chance: random.Random) -> None:
    def renumber(old: Iterable[N], kind: Callable[[int], N]) -> dict[N, N]:
        numbers = sorted(set(old) - {0})
        new = map(kind, chance.sample(range(1, 10_000), len(numbers)))
        return {kind(0): kind(0), **dict(zip(numbers, new, strict=True))}

    process = renumber(trace.processes, ProcessId)
    span = renumber(trace.spans, SpanId)
    facts, numbered_facts = renumbered_facts(trace.facts, chance)
    instance = renumber(trace.instances, InstanceId)
    socket = renumber((flow.socket for flow in trace.flows), SocketInode)

    def renumbered(old: Span) -> Span:
        subject = instance[InstanceId(int(old.subject or 0))] if old.kind == "fixture" else old.subject
        return replace(old, id=span[old.id], parent=span[old.parent], process=process[old.process], subject=subject)

    renamed = replace(
        trace,
        processes={
            process[id_]: replace(old, id=process[id_], parent=process[old.parent])
            for id_, old in trace.processes.items()
        },
        threads={
            (process[old.process], old.tid): replace(old, process=process[old.process])
            for old in trace.threads.values()
        },
        spans={span[id_]: renumbered(old) for id_, old in trace.spans.items()},
        facts=numbered_facts,
        attempts=tuple(
            replace(
                old,
                span=span[old.span],
                facts=facts[old.facts],
                instances=tuple(instance[one] for one in old.instances),
            )
            for old in trace.attempts
        ),
        instances={
            instance[id_]: replace(
                old,
                id=instance[id_],
                process=process[old.process],
                requires=tuple(instance[one] for one in old.requires),
            )
            for id_, old in trace.instances.items()
        },
        listens=tuple(replace(old, process=process[old.process]) for old in trace.listens),
        host_names=tuple(replace(old, process=process[old.process]) for old in trace.host_names),
        flows=tuple(
            replace(
                old,
                process=process[old.process],
                socket=socket[old.socket],
                spans=tuple(span[one] for one in old.spans),
                peer=process[old.peer],
            )
            for old in trace.flows
        ),
    )
    assert classified(renamed) == classified(trace)


def parts(flow: Flow, chance: random.Random) -> list[Flow]:
    """A flow as the recorder writes it when it grew again after it had been written.

    An attempt begins at the flow's first moment, so it is in the first part; its result may come later.
    """

    def some(counts: Mapping[str, int]) -> dict[str, int]:
        return {name: taken for name, count in counts.items() if (taken := chance.randint(0, count))}

    def rest(counts: Mapping[str, int], taken: Mapping[str, int]) -> dict[str, int]:
        return {name: left for name, count in counts.items() if (left := count - taken.get(name, 0))}

    sends, size = chance.randint(0, flow.sends), chance.randint(0, flow.bytes)
    established = chance.randint(0, flow.established)
    errors, heads, cut = some(flow.errors), some(flow.heads), chance.randint(0, len(flow.prefixes))
    middle_ns = chance.randint(flow.first_ns, flow.last_ns)
    hosts = chance.choice([(flow.host, ""), ("", flow.host)])
    return [
        replace(
            flow,
            last_ns=middle_ns,
            sends=sends,
            bytes=size,
            established=established,
            errors=errors,
            prefixes=flow.prefixes[:cut],
            heads=heads,
            host=hosts[0],
        ),
        replace(
            flow,
            first_ns=middle_ns,
            sends=flow.sends - sends,
            bytes=flow.bytes - size,
            connects=0,
            established=flow.established - established,
            errors=rest(flow.errors, errors),
            prefixes=flow.prefixes[cut:],
            host=hosts[1],
            heads=rest(flow.heads, heads),
        ),
    ]


@given(traces(), chances)
def test_flows_add_up(trace: Trace, chance: random.Random) -> None:
    flows = tuple(part for flow in trace.flows for part in parts(flow, chance))
    assert classified(replace(trace, flows=flows)) == classified(trace)


@given(traces(), chances)
def test_a_stranger_changes_only_the_evidence_of_the_run(trace: Trace, chance: random.Random) -> None:
    stranger, begun_ns = ProcessId(max(trace.processes) + 1), trace.run.start_ns + 1
    flows = [
        plain(Flow)(
            stranger,
            tid,
            90_000 + tid,
            Endpoint.parse(chance.choice([*TCP, *UNIX])),
            (),
            begun_ns + tid,
            begun_ns + tid,
            sends=1,
        )
        for tid in range(chance.randint(1, 5))
    ]
    after = classified(
        replace(
            trace,
            processes={**trace.processes, stranger: plain(Process)(stranger, 0, 1, begun_ns, "stranger")},
            threads={**trace.threads, (stranger, Tid(3)): plain(Thread)(stranger, 3, begun_ns, "worker")},
            listens=(*trace.listens, plain(Listen)(stranger, Endpoint("tcp", "127.0.0.1", 40001), 0, begun_ns)),
            flows=(*flows, *trace.flows),
        )
    )
    before = classified(trace)
    assert (after.tests, after.summary, after.validation) == (before.tests, before.summary, before.validation)
    assert Counter(one for one in after.run_evidence if one.command != "stranger") == Counter(before.run_evidence)
    assert sum(one.sends for one in after.run_evidence if one.command == "stranger") == len(flows)


@given(traces())
def test_a_trace_that_gives_its_flows_away_is_classified_as_one_that_keeps_them(trace: Trace) -> None:
    kept, given_away = classified(trace), replace(trace)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert classify(given_away, config(), generated_at=moment, take_flows=True) == kept
    assert given_away.flows == ()


@given(traces(), chances)
def test_without_a_tests_flows_only_its_own_evidence_goes(trace: Trace, chance: random.Random) -> None:
    """Its flows on sockets that no other thread uses: the opener of a socket matters to its later users."""
    attempts = attribute(trace, Identifier(config())).attempts
    if not attempts:
        return
    chosen = chance.choice(attempts)
    taken = takings(trace)
    own = set(taken.pop(("test", chosen.span, ""), ())).difference(*taken.values())
    shared = {flow.socket for index, flow in enumerate(trace.flows) if index not in own}
    tried = {flow.endpoint.port for flow in trace.flows if flow.errors}
    naming = {  # they name what others do there, or where an attempt counts
        flow.socket
        for flow in trace.flows
        if flow.prefixes or flow.peer or flow.host or (flow.connects and flow.endpoint.port in tried)
    }
    gone = {index for index in own if trace.flows[index].socket not in shared | naming}
    rest = replace(trace, flows=tuple(flow for index, flow in enumerate(trace.flows) if index not in gone))
    before, after = classified(trace), classified(rest)
    assert {name: test for name, test in after.tests.items() if name != chosen.nodeid} == {
        name: test for name, test in before.tests.items() if name != chosen.nodeid
    }
    assert after.run_evidence == before.run_evidence
    lost = totals(before.tests[chosen.nodeid].evidence)
    lost.subtract(totals(after.tests[chosen.nodeid].evidence))
    assert +lost == +totals(trace.flows[index] for index in gone)


def totals(counted: Iterable[Flow | Evidence]) -> Counter[tuple[Endpoint, str]]:
    """(endpoint, what is counted) → how much. The two addresses of localhost are one, and those that share a name."""
    same = {"::1": "127.0.0.1", "10.1.1.2": "10.1.1.1"}
    sums: Counter[tuple[Endpoint, str]] = Counter()
    for one in counted:
        endpoint = (
            one.endpoint.at(same.get(one.endpoint.host, one.endpoint.host)) if one.endpoint.host else one.endpoint
        )
        sums[endpoint, "connects"] += one.connects
        sums[endpoint, "sends"] += one.sends
        sums[endpoint, "bytes"] += one.bytes
    return sums
