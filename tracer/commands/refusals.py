"""What to refuse to a run: the places of services, by the configuration's rules and by earlier reports."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from glob import has_magic
from ipaddress import ip_address, ip_network
from itertools import chain
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from tracer.classify.attempts import LOCALHOST
from tracer.classify.model import ALL_UNKNOWN, Classification, is_unknown
from tracer.classify.refusals import covers
from tracer.classify.services.config import Config
from tracer.classify.services.identify import Identifier
from tracer.classify.services.rules import ServiceRule
from tracer.classify.services.values import Network
from tracer.record.refusal.names import is_served, served_names
from tracer.record.refusal.targets import PORTS, PROTOCOLS, Refusal, Target
from tracer.trace.endpoint import Endpoint

_DNS: Final = 53
_RESOLVERS: Final = Path("/etc/resolv.conf")
_BY_UDP: Final = {"gelf": PROTOCOLS, "statsd": PROTOCOLS, "quic": frozenset({"udp"})}
"""Protocols whose clients send datagrams → the transports to refuse."""
_TCP: Final = frozenset({"tcp"})
_ALL: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class PlannedRefusal(Struct, frozen=True):
    """What to refuse, and what cannot be refused."""

    refusal: Refusal
    services: tuple[str, ...]  # sorted; the refused services
    unknown: tuple[str, ...]  # sorted; those of them that are not refused, because their places are unknown
    out_of_reach: tuple[str, ...] = ()  # sorted; services that are refused with everything, for the same reason

    def lines(self) -> Iterator[str]:
        """What the user has to know before the run."""
        for names, what in ((self.unknown, "not refused"), (self.out_of_reach, "refused, too")):
            if names:
                yield f"{what}, because neither port, address nor path is known: {', '.join(names)}"


def other_services(kept: Collection[str], config: Config) -> frozenset[str]:
    """All configured services but these, without plumbing. Name servers are plumbing here: clients ask them first."""
    return frozenset(
        name
        for name, rule in config.services.items()
        if name not in kept and not rule.ignore and not any(_DNS in ports for ports in rule.ports)
    )


def plan_refusal(
    services: Collection[str], config: Config, reports: Sequence[Classification] = (), *, everything: bool = False
) -> PlannedRefusal:
    """Refuse services where the rules say that they are, and where the reports met them: also by protocol or host.

    Args:
        services: their names; also `unknown:…` of a report, and `(unknown)`: all endpoints there that no rule names.
        config: the configuration of the run.
        reports: of runs with the services.
        everything: refuse all else, too. Other configured services, plumbing and name servers stay in reach.
    """
    met = _met(reports)
    targets, exceptions = _by_rules(services, config)
    for endpoint, names in met.items():
        refused = [name for name in names if covers(services, name)]
        kept = any(not covers(services, name) and not (everything and is_unknown(name)) for name in names)
        for target in _at(endpoint):
            if kept:
                exceptions.setdefault(target, names[0])
            elif refused:
                targets.setdefault(target, refused[0])
    paths, kept_paths = _paths(services, config, met)
    places = dict[Target | str, str](chain(targets.items(), paths.items()))
    if everything:
        exceptions.update(dict.fromkeys(_name_servers(), ""))
    refusal = Refusal(
        tuple(targets),
        frozenset(paths),
        tuple(exceptions),
        frozenset(kept_paths) if everything else frozenset(),
        everything,
        places,
    )
    in_reach = {*exceptions.values(), *kept_paths.values()}
    others = [name for name, rule in config.services.items() if not rule.ignore and not covers(services, name)]
    return PlannedRefusal(
        refusal,
        tuple(sorted(services)),
        () if everything else _without_place(services, config, {*places.values()}),
        _without_place(others, config, in_reach) if everything else (),
    )


def _without_place(services: Collection[str], config: Config, placed: Collection[str]) -> tuple[str, ...]:
    """Those of the services that have no place. A pattern of unix sockets is one, although none of them is served."""
    rules = config.services
    without = (one for one in services if one not in placed and not (one in rules and rules[one].unix))
    return tuple(sorted(one for one in without if one != ALL_UNKNOWN))


def _by_rules(services: Collection[str], config: Config) -> tuple[dict[Target, str], dict[Target, str]]:
    """Target → service: those to refuse, and their exceptions. Where several rules match, the first counts."""
    targets: dict[Target, str] = {}
    exceptions: dict[Target, str] = {}
    for name, rule in config.services.items():
        for target in _of_rule(rule):
            if covers(services, name):
                targets.setdefault(target, name)
                continue
            parts = [replace(target, protocols=PROTOCOLS)]
            for refused in targets:
                parts = [part for one in parts for part in _minus(one, refused)]
            exceptions.update(dict.fromkeys(parts, name))
    return targets, exceptions


def _of_rule(rule: ServiceRule) -> Iterator[Target]:
    """The peers of a rule, if it says by address and port which they are."""
    networks = [network for host in rule.hosts for network in host if not isinstance(network, str)]
    if rule.paths or (rule.hosts and not networks) or not (rule.ports or (networks and rule.protocol is None)):
        return
    protocols = _BY_UDP.get(rule.protocol or "", _TCP)
    for ports in rule.ports or (None,):
        for network in networks or (None,):
            yield Target(network, ports, PROTOCOLS if ports and _DNS in ports else protocols)


def _minus(target: Target, other: Target) -> Iterator[Target]:
    """The parts of a target that are not in another one."""
    ports, others = (PORTS if one.ports is None else one.ports for one in (target, other))
    common = range(max(ports.start, others.start), min(ports.stop, others.stop))
    if not common:
        yield target
        return
    for rest in (range(ports.start, common.start), range(common.stop, ports.stop)):
        if rest:
            yield replace(target, ports=rest)
    for network in _ALL if target.network is None else (target.network,):
        for part in _outside(network, other.network):
            yield replace(target, network=part, ports=common)


def _outside(network: Network, other: Network | None) -> Iterator[Network]:
    """The parts of a network that are not in another one; None: in no other."""
    if other is None:
        return
    if network.version != other.version or not network.overlaps(other):
        yield network
    elif other.prefixlen > network.prefixlen:
        yield from network.address_exclude(other)  # type: ignore[arg-type]  # of the same version


def _met(reports: Sequence[Classification]) -> dict[Endpoint, list[str]]:
    """Endpoint → the services that the reports met there, without what their runs hosted."""
    met: dict[Endpoint, list[str]] = {}
    for report in reports:
        for one in chain(report.run_evidence, *(test.evidence for test in report.tests.values())):
            if not one.self_hosted and one.service not in met.setdefault(one.endpoint, []):
                met[one.endpoint].append(one.service)
    return met


def _at(endpoint: Endpoint) -> Iterator[Target]:
    """The peer at an endpoint; of localhost, at both addresses. None for unix sockets and other protocols."""
    if endpoint.protocol in PROTOCOLS:
        for host in LOCALHOST if endpoint.host in LOCALHOST else (endpoint.host,):
            yield Target(ip_network(host), range(endpoint.port, endpoint.port + 1), frozenset({endpoint.protocol}))


def _paths(
    services: Collection[str], config: Config, met: dict[Endpoint, list[str]]
) -> tuple[dict[str, str], dict[str, str]]:
    """Path of a unix socket → service: those to refuse, and those to keep, among them plumbing."""
    identifier = Identifier(config)
    by_rule = [path for rule in config.services.values() for path in rule.unix]
    names = {*served_names(), *filter(is_served, (path for path in by_rule if not has_magic(path)))}
    places = {path: [identifier.service_of(Endpoint("unix", path=path)).name] for path in names}
    places |= {endpoint.path: services for endpoint, services in met.items() if endpoint.protocol == "unix"}
    refused: dict[str, str] = {}
    kept: dict[str, str] = {}
    for path, found in places.items():
        if name := next((name for name in found if covers(services, name)), None):
            refused[path] = name
        elif any(not is_unknown(name) for name in found):
            kept[path] = found[0]
    return refused, kept


def _name_servers() -> Iterator[Target]:
    """Those of resolv.conf(5); without any, this machine is asked."""
    try:
        lines = _RESOLVERS.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    found = [word[1].partition("%")[0] for word in words if len(word) > 1 and word[0] == "nameserver"]
    for address in found or LOCALHOST:
        try:
            yield Target(ip_network(ip_address(address)), range(_DNS, _DNS + 1))
        except ValueError:  # not an address, which the resolver ignores, too
            continue
