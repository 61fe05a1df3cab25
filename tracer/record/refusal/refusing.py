"""Services refused to the traced tree, from before the command's first instruction to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tracer.record.capture.bpf.programs import REFUSAL_OBJECT, check_can_load
from tracer.record.invoker import Invoker
from tracer.record.refusal.addresses import own_addresses
from tracer.record.refusal.cgroup import RunCgroup
from tracer.record.refusal.inherited import inherited_names
from tracer.record.refusal.keeper import Keeper
from tracer.record.refusal.names import forms, is_served, served_names, without
from tracer.record.refusal.programs import MEANS, Means, Programs
from tracer.record.refusal.table import table
from tracer.record.refusal.targets import EVERYTHING, Refusal, Target


@dataclass(frozen=True, slots=True)
class Refusing:
    """What is refused now, and what is not."""

    error: int  # the errno of a refused call: ECONNREFUSED; EPERM before Linux 5.18
    hidden: frozenset[str]  # paths that the command has to hide itself (Child.release), because the programs cannot
    not_refusable: frozenset[str]  # abstract names, which this kernel cannot refuse
    not_served: frozenset[str]  # names that no process has bound: a server of the tree may bind them
    _programs: Programs = field(repr=False)
    _counters: Mapping[Target | str, int] = field(repr=False)

    @property
    def refused(self) -> tuple[Target | str, ...]:
        """Each target and each name that is refused."""
        return tuple(one for one in self._counters if one not in self.not_refusable)

    def counts(self) -> dict[Target | str, int]:
        """How often each target and each name was refused so far, without those that were not.

        An address counts for the smallest network that has it; EVERYTHING is what no target has. Hidden paths are not
        counted.
        """
        counts = ((one, self._programs.count(counter)) for one, counter in self._counters.items())
        return {one: count for one, count in counts if count}


@contextmanager
def refusing(refusal: Refusal, pid: int, invoker: Invoker, best: Means = MEANS[0]) -> Iterator[Refusing]:
    """Refuse services to the stopped child `pid` and to all its descendants, in a cgroup of their own.

    Enter it while root's rights can still be taken; they are not needed at the end. Then processes of the tree that
    still run are refused nothing any more, and go back to the cgroup from which the command came.

    Args:
        refusal: what to refuse.
        pid: a child that has not executed the command yet.
        invoker: the user who started svc-trace.
        best: more than this is not used of the kernel; for tests.

    Raises:
        SvcTraceError: bad-refusal, not-root, no-probes, no-cgroup, or what `Programs` raises.
    """
    targets = tuple(dict.fromkeys(refusal.targets + ((EVERYTHING,) if refusal.everything else ())))
    peers = table(targets, refusal.except_, own_addresses())
    names, not_served = _names(refusal)
    counted: list[Target | str] = [*targets, *sorted(names)]
    counters = {one: counter for counter, one in enumerate(counted)}
    with ExitStack() as resources:
        with invoker.root():
            check_can_load(REFUSAL_OBJECT, "refusing services, with every backend,")
            cgroup = RunCgroup.create(pid)
            resources.callback(cgroup.close)
            resources.callback(_keeper(cgroup).finish)
            known = {form: counters[name] for name in names for form in forms(name)}
            programs = Programs(cgroup.directory, peers, known, len(counters), best)
            resources.callback(programs.close)
        hidden = frozenset() if programs.means.unix else names
        yield Refusing(
            programs.means.error,
            frozenset(name for name in hidden if not name.startswith("@")),
            frozenset(name for name in hidden if name.startswith("@")),
            not_served,
            programs,
            counters,
        )


def _keeper(cgroup: RunCgroup) -> Keeper:
    try:
        return Keeper(cgroup)
    except OSError:  # no further process is allowed
        cgroup.remove()
        raise


def _names(refusal: Refusal) -> tuple[frozenset[str], frozenset[str]]:
    """The names of unix sockets to refuse, and those that are not served and need not be refused."""
    own = inherited_names()
    wanted = without(refusal.paths, {*refusal.except_paths, *own})
    served = {name for name in wanted if is_served(name)}
    others = without(served_names(), {*refusal.except_paths, *own, *served}) if refusal.everything else set()
    return frozenset(served | others), frozenset(wanted - served)
