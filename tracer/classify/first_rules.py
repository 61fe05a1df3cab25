"""A first configuration, from what is found about a suite before its first traced run.

It is a start, to be corrected by what a run observes: names may say more than is true, and not all that is true.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec.structs import replace

from tracer.classify.assumptions import EntryKind, claims, concerns
from tracer.classify.assumptions import entries as all_entries
from tracer.classify.service_words import (
    CLIENTS,
    PROGRAMS,
    RELATIONAL,
    demanded,
    engine_service,
    image_service,
    is_attribute,
    named_service,
    own_name,
)
from tracer.classify.services.config import default_services, read_preset
from tracer.classify.services.rules import AssumptionRule, Contract, Needed, ServiceRule
from tracer.classify.services.values import LAST_PORT, Host
from tracer.errors import counted
from tracer.trace.records import StaticFacts

_DJANGO_TESTS: Final = AssumptionRule(classes=("django.test.TransactionTestCase",), markers=frozenset({"django_db"}))
_COMPOSE_FIXTURES: Final = ("docker_services", "docker_compose", "compose")
"""Fixtures that start a Compose file: of pytest-docker, and others' usual names."""
_WITHOUT, _WITH = ("unit", "units"), ("integration", "e2e")
"""Markers and directories whose tests use no service, or some."""
_MOST_ENTRIES: Final = 12
_MOST_PLACES: Final = 3
"""More directories of one name have one contract."""
_KEYS: Final[Mapping[EntryKind, str]] = {"fixture": "fixtures", "marker": "markers", "class": "classes"}


class ComposeService(NamedTuple):
    """A service of a Compose file."""

    file: str
    name: str
    image: str  # empty: it is built
    ports: tuple[range, ...]  # of this machine
    own_ports: tuple[int, ...]  # of the container


class Found(NamedTuple):
    """What was found about a suite."""

    tests: Mapping[StaticFacts, int]  # facts → how many tests have them
    markers: Collection[str] = ()  # that are registered
    modules: Collection[str] = ()  # that are loaded after the collection
    databases: Sequence[tuple[str, str]] = ()  # of Django: engine and port
    compose: Sequence[ComposeService] = ()
    listening: Sequence[tuple[str, int]] = ()  # program and TCP port


class Reasoned(NamedTuple):
    """A part of the configuration, and what it is based on."""

    value: str
    reason: str


@dataclass(slots=True)
class FirstRules:
    """A configuration, of which each part has a reason."""

    extends: list[Reasoned] = field(default_factory=list)
    services: dict[str, tuple[ServiceRule, list[str]]] = field(default_factory=dict)  # rule and reasons
    assumptions: dict[str, dict[str, list[Reasoned]]] = field(default_factory=dict)  # service → key → entries
    contracts: list[tuple[Contract, str]] = field(default_factory=list)
    open: list[Reasoned] = field(default_factory=list)  # services whose endpoint is not known


def first_rules(found: Found) -> FirstRules:
    """The configuration that what was found suggests."""
    rules = FirstRules()
    known = default_services()
    _add_compose(rules, found.compose, known)
    _add_ports(rules, found, known)
    engines = {engine_service(engine) for engine, _ in found.databases}
    databases = {*RELATIONAL} & (engines if found.databases else _used_services(found))
    _add_assumptions(rules, found, databases, _add_django(rules, found))
    _add_open(rules, found, known)
    _add_contracts(rules, found)
    return rules


def _used_services(found: Found) -> set[str]:
    """The services that the suite seems to use: by the clients that it imports, by Compose files and by settings."""
    by_compose = {image_service(one.image) or named_service(one.name) for one in found.compose}
    by_engine = {engine_service(engine) for engine, _ in found.databases}
    clients = {CLIENTS[name] for name in found.modules if name in CLIENTS}
    return {service for service in by_compose | by_engine | clients if service is not None}


def _add_compose(rules: FirstRules, compose: Sequence[ComposeService], known: Mapping[str, ServiceRule]) -> None:
    for one in compose:
        ports = ", ".join(str(port[0]) if len(port) == 1 else f"{port[0]}-{port[-1]}" for port in one.ports)
        place = f"at {ports}" if ports else "at a port that changes"
        reason = f"{one.file}: {one.name}{f' ({one.image})' if one.image else ''} {place}"
        service = image_service(one.image) or (named_service(one.name) if not one.image else None)
        service = service or _by_protocol(one, known)
        if service is not None:
            _add_to_known(rules, service, one.ports, reason, known)
        elif one.ports:
            rule, reasons = rules.services.get(one.name, (ServiceRule(), []))
            rules.services[one.name] = replace(rule, ports=(*rule.ports, *one.ports)), [*reasons, reason]
        elif one.own_ports:  # at a port that the engine chooses: the name is known, not the port
            rules.services.setdefault(one.name, (ServiceRule(hosts=(Host([one.name]),)), [reason]))


def _by_protocol(one: ComposeService, known: Mapping[str, ServiceRule]) -> str | None:
    """Of a service whose image is built: the one with a protocol that has its port."""
    if one.image:
        return None
    services = (name for name, rule in known.items() if rule.protocol and _has(rule, one.own_ports))
    return next(services, None)


def _has(rule: ServiceRule, ports: Collection[int]) -> bool:
    return any(port in ports_of_rule for port in ports for ports_of_rule in rule.ports)


def _add_to_known(
    rules: FirstRules, service: str, ports: Sequence[range], reason: str, known: Mapping[str, ServiceRule]
) -> None:
    """Add ports that a service's rule does not have to a copy of the rule, which a table in the file replaces."""
    rule, reasons = rules.services.get(service, (known[service], []))
    added = tuple(one for one in ports if not any({*one} <= {*old} for old in rule.ports))
    if added:
        rules.services[service] = replace(rule, ports=(*rule.ports, *added)), [*reasons, reason]


def _add_ports(rules: FirstRules, found: Found, known: Mapping[str, ServiceRule]) -> None:
    """Add ports of Django's databases, and of servers on this machine that the suite seems to use."""
    used = _used_services(found)
    for engine, text in found.databases:
        number = int(text) if re.fullmatch("[0-9]{1,5}", text) else 0
        if (service := engine_service(engine)) and 0 < number <= LAST_PORT:
            _add_to_known(rules, service, [range(number, number + 1)], "Django's setting DATABASES", known)
    for program, port in found.listening:
        service = PROGRAMS.get(program)
        if service is not None and service in used:
            _add_to_known(rules, service, [range(port, port + 1)], f"{program} listens there on this machine", known)


def _add_django(rules: FirstRules, found: Found) -> tuple[str, AssumptionRule] | None:
    """The service of a Django project's database, and the rule of the preset `django` for it; adds the preset.

    None: the project is none of Django's, or its database is no service.
    """
    tests = sum(number for facts, number in found.tests.items() if claims(_DJANGO_TESTS, facts))
    service = next(filter(None, (engine_service(engine) for engine, _ in found.databases)), None)
    if not tests or service is None:
        return None
    if service == "postgres":
        reason = f"{counted(tests, 'test')} with Django's classes or the marker django_db"
        rules.extends.append(Reasoned("django", reason))
    return service, read_preset("django").table["assumptions"]["postgres"].read(AssumptionRule)


def _add_assumptions(
    rules: FirstRules, found: Found, databases: Collection[str], django: tuple[str, AssumptionRule] | None
) -> None:
    """Add entries by name, those of most tests first, and only such as claim a test that no other entry claims."""
    left: dict[str, set[StaticFacts]] = {}  # service → the facts that no entry claims yet
    candidates = sorted(_candidates(found, databases), key=lambda one: -_count(found, one[3]))
    if django is not None:
        left[django[0]] = {facts for facts in found.tests if not claims(django[1], facts)}
    for key, service, name, facts in candidates:
        unclaimed = left.setdefault(service, {*found.tests})
        entries = rules.assumptions.setdefault(service, {}).setdefault(key, [])
        if facts & unclaimed and len(entries) < _MOST_ENTRIES:
            unclaimed -= facts
            entries.append(Reasoned(name, counted(_count(found, facts), "test")))
    for name in sorted({*found.markers} - {name for facts in found.tests for name in facts.markers}):
        if (marked := named_service(name)) is not None:
            entries = rules.assumptions.setdefault(marked, {}).setdefault("markers", [])
            entries.append(Reasoned(name, "a marker that is registered"))
    if django is not None and (not rules.extends or any(rules.assumptions.get(django[0], {}).values())):
        own = rules.assumptions.setdefault(django[0], {})  # it replaces the preset's, so it has its entries, too
        for entry in all_entries(django[1]):
            own.setdefault(_KEYS[entry.kind], []).append(Reasoned(entry.value, "as in the preset django"))
    rules.assumptions = {
        service: kept
        for service, keys in sorted(rules.assumptions.items())
        if (kept := {key: keys[key] for key in AssumptionRule.__struct_fields__ if keys.get(key)})
    }


def _candidates(found: Found, databases: Collection[str]) -> Iterator[tuple[str, str, str, frozenset[StaticFacts]]]:
    """Entries whose name stands for a service: the key, the service, the name, and the facts that it claims."""
    names: dict[tuple[str, str], set[StaticFacts]] = {}
    for facts in found.tests:
        for marker in facts.markers:
            names.setdefault(("markers", marker), set()).add(facts)
        for base in facts.bases[1:]:
            names.setdefault(("classes", base), set()).add(facts)
        for fixture in facts.fixtures:
            if not fixture.startswith(("_", "django_")) and not is_attribute(fixture):
                names.setdefault(("fixtures", fixture), set()).add(facts)
        for directory in () if {*facts.path.split("/")} & {*_WITHOUT} else _parents(facts.path):
            names.setdefault(("paths", directory), set()).add(facts)
    order = ("markers", "classes", "fixtures", "paths")
    for (key, name), claimed in sorted(names.items(), key=lambda one: (order.index(one[0][0]), one[0][1])):
        last = name.rpartition("/")[2] if key == "paths" else name.rpartition(".")[2]
        own = databases if key != "paths" and not name.startswith("django.") else ()
        if service := named_service(last, own):
            yield key, service, _glob(name) if key == "paths" else name, frozenset(claimed)


def _count(found: Found, facts: Collection[StaticFacts]) -> int:
    return sum(found.tests[one] for one in facts)


def _add_open(rules: FirstRules, found: Found, known: Mapping[str, ServiceRule]) -> None:
    """Add entries for services of Compose files, and note names that demand a service of which nothing is known."""
    used = {name for facts in found.tests for name in (*facts.fixtures, *facts.markers)}
    for name in sorted(used | {*found.markers}):
        service = demanded(name) or own_name(name)
        is_own, is_open = service in rules.services, service not in rules.services and demanded(name) is not None
        if name.startswith(("_", "django_")) or named_service(name) or service in known or not (is_own or is_open):
            continue
        tests = [facts for facts in found.tests if name in facts.fixtures or name in facts.markers]
        kind = "fixtures" if any(name in facts.fixtures for facts in tests) else "markers"
        reason = counted(_count(found, tests), "test")
        if is_open and len(rules.open) < _MOST_ENTRIES:
            rules.open.append(Reasoned(service, f"{kind[:-1]} {name}, {reason}"))
        elif is_own and tests:
            rules.assumptions.setdefault(service, {}).setdefault(kind, []).append(Reasoned(name, reason))


def _add_contracts(rules: FirstRules, found: Found) -> None:
    markers = {name for facts in found.tests for name in facts.markers}
    fixtures = {name for facts in found.tests for name in facts.fixtures}
    directories = sorted({one for facts in found.tests for one in _parents(facts.path)})
    needs: tuple[tuple[tuple[str, ...], Needed], ...] = ((_WITHOUT, "none"), (_WITH, "some"))
    for words, services in needs:
        contracts = [Contract("marker", word, services) for word in words if word in markers]
        for word in words:
            places = [_glob(one) for one in directories if one.rpartition("/")[2] == word]
            places = places if len(places) <= _MOST_PLACES else [f"**/{word}/**"]
            contracts += [Contract("path", place, services) for place in places]
        if services == "some":
            contracts += [Contract("fixture", name, services) for name in _COMPOSE_FIXTURES if name in fixtures]
        for contract in contracts:
            tests = [facts for facts in found.tests if concerns(contract, facts)]
            rules.contracts.append((contract, counted(_count(found, tests), "test")))


def _glob(directory: str) -> str:
    """The glob for the files of a directory and those below it."""
    return re.sub(r"([*?[])", r"[\1]", directory) + "/**"


def _parents(path: str) -> Iterator[str]:
    """The directories of a file, the outermost first."""
    parts = path.split("/")[:-1]
    yield from ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
