"""Attribution: which test each flow belongs to, and how. The rules are those of docs/attribution.md.

Each flow passes four steps once: `sockets.py` names its service, `places.py` places its spans in the suite, `owners.py`
decides what it belongs to, and `evidence.py` sums up the flows of each owner. Between the last two, `goodbyes.py` marks
flows that only close a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tracer.classify.evidence import sum_up
from tracer.classify.goodbyes import mark_goodbyes
from tracer.classify.model import Evidence
from tracer.classify.owners import OwnedFlow, Owners
from tracer.classify.places import RUN, Owner, Places
from tracer.classify.services.identify import Identifier
from tracer.classify.session_starts import SessionStarts
from tracer.classify.sockets import Sockets
from tracer.trace.ids import InstanceId, SpanId
from tracer.trace.records import Attempt, Trace


@dataclass(frozen=True, slots=True)
class Attribution:
    """The evidence of each owner. Each flow counts for exactly one owner; ambiguous flows count for several.

    Evidence of fixture instances and modules is stored once, as the tests inherit it.
    """

    attempts: tuple[Attempt, ...]
    places: Places
    _owned: Mapping[Owner, tuple[Evidence, ...]]
    _inherited: Mapping[SpanId, tuple[Evidence, ...]]  # test span → evidence in the order of time

    @property
    def run(self) -> tuple[Evidence, ...]:
        """Evidence outside of all tests and fixtures, or in the collection of a module without a test that ran."""
        return self._owned.get(RUN, ())

    def of(self, attempt: Attempt) -> tuple[Evidence, ...]:
        """A test's evidence: its own, then the inherited; both in the order of time."""
        return self._owned.get(Owner("test", attempt.span), ()) + self._inherited[attempt.span]


def attribute(trace: Trace, identifier: Identifier, *, take_flows: bool = False) -> Attribution:
    """Find the test, fixture instance, module or run to which each flow belongs. `take_flows`: as of `classify`."""
    places = Places(trace)
    flows = _owned_flows(trace, identifier, places)
    if take_flows:
        trace.take_flows()  # the owners' lists have the only references now
    starts = SessionStarts(trace, places)
    run = sum_up(trace, RUN, mark_goodbyes(flows.pop(RUN, [])), starts.needed_below)
    owned = {owner: sum_up(trace, owner, mark_goodbyes(flows.pop(owner))) for owner in list(flows)} | {RUN: run}
    return Attribution(places.attempts, places, owned, _inherited(places, owned))


def _owned_flows(trace: Trace, identifier: Identifier, places: Places) -> dict[Owner, list[OwnedFlow]]:
    """The flows of each owner, in the order of time."""
    sockets = Sockets(trace, identifier, places)
    owners = Owners(trace, places)
    flows: dict[Owner, list[OwnedFlow]] = {}
    for named in sockets.named_flows():
        for owner, flow in owners.of(named).items():
            flows.setdefault(owner, []).append(flow)
    return flows


def _inherited(places: Places, owned: Mapping[Owner, tuple[Evidence, ...]]) -> dict[SpanId, tuple[Evidence, ...]]:
    """Test span → inherited evidence. Tests with the same fixtures and module share one tuple."""
    shared: dict[tuple[Owner, frozenset[InstanceId]], tuple[Evidence, ...]] = {}
    inherited = {}
    for attempt in places.attempts:
        sources = module, instances = places.collection(attempt.span), places.instances(attempt.span)
        if sources not in shared:
            owners = [module, *(Owner("instance", instance) for instance in sorted(instances))]
            evidence = [one for owner in owners for one in owned.get(owner, ())]
            shared[sources] = tuple(sorted(evidence, key=lambda one: (one.first_s, one.endpoint)))
        inherited[attempt.span] = shared[sources]
    return inherited
