"""The configuration: the endpoints of each service, and the suite's static rules.

Its layers, first to last: the preset `default`, the presets that the file extends, the file. See docs/configuration.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, Literal

from tracer.classify.services.document import Value, did_you_mean, read_document
from tracer.classify.services.protocols import MATCHERS

Network = IPv4Network | IPv6Network

KEYS: Final[Mapping[str, tuple[str, ...]]] = {  # table → its keys
    "": ("extends", "services", "assumptions", "tiers", "contracts", "variants"),
    "services": ("ports", "hosts", "unix", "protocol", "ignore"),
    "assumptions": ("fixtures", "markers", "classes", "paths", "in_class"),
    "tiers": ("name", "within", "any"),
    "contracts": ("marker", "path", "fixture", "services"),
    "variants": ("parameters", "class_suffixes"),
}
LOCALHOST: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))  # RFC 6761, 6.3

_PRESET_KEYS: Final = tuple(key for key in KEYS[""] if key != "extends")
_PRESETS: Final = files("tracer.classify.services") / "presets"
_SERVICE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PORT_RANGE: Final = re.compile(r"([0-9]{1,6})\s*-\s*([0-9]{1,6})")
_MARKER: Final = re.compile(r"(not )?[^\s]+")
_HOST_NAME: Final = re.compile(r"(?![0-9.]+$)[A-Za-z0-9_.*?\[\]!-]+")  # a name or a glob, but not a malformed address


@dataclass(frozen=True, slots=True)
class ServiceRule:
    """The endpoints of one service: `[services.NAME]`."""

    name: str
    ports: tuple[range, ...] = ()
    hosts: tuple[Network | str, ...] = ()  # networks (an address is a network), names and globs; lower case
    unix: tuple[str, ...] = ()  # globs over the whole path
    protocol: str | None = None  # one of `protocols.MATCHERS`
    ignore: bool = False  # infrastructure that no report shows


@dataclass(frozen=True, slots=True)
class AssumptionRule:
    """The static rule of a service: `[assumptions.SERVICE]`. One matching entry claims that a test needs it."""

    fixtures: frozenset[str] = frozenset()
    markers: frozenset[str] = frozenset()
    classes: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()  # globs, `**` for any number of directories
    in_class: bool = False  # every test that is a method


@dataclass(frozen=True, slots=True)
class Tier:
    """A group of tests by the services they use: `[[tiers]]`. Without a condition it fits every test."""

    name: str
    within: frozenset[str] | None = None  # uses no other service than these
    any: frozenset[str] | None = None  # uses at least one of these


@dataclass(frozen=True, slots=True)
class Contract:
    """What the tests of a marker, path or fixture have to use: `[[contracts]]`."""

    selector: Literal["marker", "path", "fixture"]
    value: str  # of a marker also `not NAME`: the tests without it
    services: Literal["none", "some"] | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VariantRule:
    """The parts of node ids in which the variants of a test differ: `[variants]`."""

    parameters: tuple[str, ...] = ()  # globs over a parameter as the node id shows it
    class_suffixes: tuple[str, ...] = ()  # ends of class names


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that need only a test's services and static facts, so that a report is enough to check them."""

    assumptions: Mapping[str, AssumptionRule] = field(default_factory=dict)  # service → rule
    tiers: tuple[Tier, ...] = ()
    contracts: tuple[Contract, ...] = ()
    variants: VariantRule = VariantRule()


@dataclass(frozen=True, slots=True)
class Config:
    """All layers merged."""

    source: str | None  # the file; None: built-in presets only
    services: tuple[ServiceRule, ...]  # in matching order: those of later layers first
    assumptions: Mapping[str, AssumptionRule]  # service → rule
    tiers: tuple[Tier, ...]
    contracts: tuple[Contract, ...]
    variants: VariantRule = VariantRule()

    @property
    def rules(self) -> Rules:
        """The part that a report contains."""
        return Rules(self.assumptions, self.tiers, self.contracts, self.variants)


def load_config(path: Path | None, directory: Path) -> Config:
    """Read the configuration and merge it with its presets.

    Args:
        path: the file; of a `pyproject.toml`, its table `[tool.svc-trace]`. None: search for it.
        directory: where the search begins. The search goes up through the parents. It ends at the first
            `svc-trace.toml`, at the first `pyproject.toml` with that table, or at a directory with `.git`.

    Raises:
        SvcTraceError: `config-unreadable`, `config-syntax` or `config-invalid`.
    """
    table = _search(directory) if path is None else _table(path)
    if table is None:
        return _merge([_preset("default")], None)
    if table.data is None:
        raise table.error("no such table", "Add it, or name another file.")
    extended = [_extended(item) for item in table.table(KEYS[""])["extends"].items()]
    return _merge([_preset("default"), *extended, table], table.file)


def _search(directory: Path) -> Value | None:
    start = directory.absolute()
    for parent in (start, *start.parents):
        for name in ("svc-trace.toml", "pyproject.toml"):
            if os.access(parent / name, os.F_OK):  # exists() would raise in a directory without search permission
                table = _table(parent / name)
                if table.data is not None:
                    return table
        if os.access(parent / ".git", os.F_OK):
            break
    return None


def _table(path: Path) -> Value:
    document = read_document(path, str(path))
    return document["tool"]["svc-trace"] if path.name == "pyproject.toml" else document


def _extended(value: Value) -> Value:
    name = value.text()
    names = tuple(sorted(entry.name.removesuffix(".toml") for entry in _PRESETS.iterdir()))
    if name not in names:
        raise value.error(f"there is no preset {name!r}", did_you_mean(name, names))
    return _preset(name)


def _preset(name: str) -> Value:
    return read_document(_PRESETS / f"{name}.toml", f"preset {name}").table(_PRESET_KEYS)


def _merge(layers: list[Value], source: str | None) -> Config:
    services: dict[str, ServiceRule] = {}
    for layer in reversed(layers):
        for name, table in layer["services"].members():
            services.setdefault(name, _service(name, table))
    known = tuple(sorted(services))
    assumptions: dict[str, AssumptionRule] = {}
    tiers: tuple[Tier, ...] = ()
    contracts: tuple[Contract, ...] = ()
    variants = VariantRule()
    for layer in layers:
        for name, table in layer["assumptions"].members():
            if name not in services:
                raise table.error("there is no such service", did_you_mean(name, known))
            assumptions[name] = _assumption(table)
        tiers = _tiers(layer["tiers"], known) or tiers
        contracts += tuple(_contract(item.table(KEYS["contracts"]), known) for item in layer["contracts"].items())
        if layer["variants"].data is not None:
            variants = _variants(layer["variants"].table(KEYS["variants"]))
    return Config(source, tuple(services.values()), assumptions, tiers, contracts, variants)


def _service(name: str, value: Value) -> ServiceRule:
    if not _SERVICE_NAME.fullmatch(name):
        raise value.error("is not a name for a service", "Use letters, digits, `.`, `_` and `-`.")
    table = value.table(KEYS["services"])
    protocol = table["protocol"].text() if table["protocol"].data is not None else None
    if protocol is not None and protocol not in MATCHERS:
        raise table["protocol"].error(f"unknown protocol {protocol!r}", did_you_mean(protocol, tuple(sorted(MATCHERS))))
    rule = ServiceRule(
        name,
        ports=tuple(_ports(item) for item in table["ports"].items()),
        hosts=tuple(host for item in table["hosts"].items() for host in _hosts(item)),
        unix=table["unix"].texts(),
        protocol=protocol,
        ignore=table["ignore"].flag(),
    )
    if rule.ignore and not (rule.ports or rule.hosts or rule.unix or rule.protocol):
        raise value.error("ignores nothing", "Add ports, hosts, unix or protocol.")
    return rule


def _ports(value: Value) -> range:
    hint = 'Give a port from 1 to 65535, or a range such as "15432-15440".'
    if type(value.data) is int:
        first = last = value.data
    elif isinstance(value.data, str) and (match := _PORT_RANGE.fullmatch(value.data)):
        first, last = int(match[1]), int(match[2])
    else:
        raise value.error("is neither a port nor a range of ports", hint)
    if not 1 <= first <= 65535 or not 1 <= last <= 65535:
        raise value.error(f"{value.data!r} is outside 1-65535", hint)
    if first > last:
        raise value.error(f"the range {value.data!r} is reversed", f'Write "{last}-{first}".')
    return range(first, last + 1)


def _hosts(value: Value) -> tuple[Network | str, ...]:
    text = value.text().lower()
    if text == "localhost":
        return LOCALHOST
    try:
        return (_unmapped(ip_network(text)),)
    except ValueError as error:
        if "/" in text:
            raise value.error(f"is not a network: {error}", 'Write it as in "10.0.0.0/8".') from None
    if _HOST_NAME.fullmatch(text):
        return (text,)
    raise value.error(
        f"{text!r} is not a host", 'Give an address, a network ("10.0.0.0/8"), a name or a glob ("10.0.*").'
    )


def _unmapped(network: Network) -> Network:
    """A network of IPv4-mapped IPv6 addresses as IPv4, because endpoints are written so (RFC 4291, 2.5.5.2)."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - 96))
    return network


def _assumption(value: Value) -> AssumptionRule:
    table = value.table(KEYS["assumptions"])
    return AssumptionRule(
        fixtures=frozenset(table["fixtures"].texts()),
        markers=frozenset(table["markers"].texts()),
        classes=table["classes"].texts(),
        paths=tuple(_path(item) for item in table["paths"].items()),
        in_class=table["in_class"].flag(),
    )


def _path(value: Value) -> str:
    text = value.text()
    if text.startswith(("/", "./", "../")) or text.endswith("/"):
        raise value.error(
            f"{text!r} matches no test", 'Write it relative to pytest\'s rootdir, and a directory as "tests/slow/**".'
        )
    return text


def _tiers(value: Value, known: tuple[str, ...]) -> tuple[Tier, ...]:
    tiers: dict[str, Tier] = {}
    for item in value.items():
        table = item.table(KEYS["tiers"])
        name = table["name"].text()
        if name in tiers:
            raise table["name"].error(f"a second tier {name!r}", "Merge the two, or rename one.")
        within, any_ = (
            None if table[key].data is None else frozenset(_known_services(table[key], known))
            for key in ("within", "any")
        )
        if any_ is not None and not any_:
            raise table["any"].error("is empty, so no test fits", "Name at least one service, or leave `any` out.")
        tiers[name] = Tier(name, within, any_)
    return tuple(tiers.values())


def _contract(table: Value, known: tuple[str, ...]) -> Contract:
    given = [selector for selector in _SELECTORS if table[selector].data is not None]
    if len(given) != 1:
        raise table.error("selects no tests, or selects them twice", "Give exactly one of marker, path, fixture.")
    value = _SELECTORS[given[0]](table[given[0]])
    services = table["services"]
    if services.data in ("none", "some"):
        return Contract(given[0], value, services.data)
    names = _known_services(services, known) if isinstance(services.data, list) else ()
    if not names:
        raise services.error("names no services", 'Give "none", "some", or a list of services.')
    return Contract(given[0], value, names)


def _marker(value: Value) -> str:
    text = value.text()
    if not _MARKER.fullmatch(text):
        raise value.error(f"{text!r} is not a marker", 'Name one, or give "not NAME" for the tests without it.')
    return text


_SELECTORS: Final[Mapping[Literal["marker", "path", "fixture"], Callable[[Value], str]]] = {
    "marker": _marker,
    "path": _path,
    "fixture": Value.text,
}


def _variants(table: Value) -> VariantRule:
    return VariantRule(table["parameters"].texts(), table["class_suffixes"].texts())


def _known_services(value: Value, known: tuple[str, ...]) -> tuple[str, ...]:
    for item in value.items():
        if item.text() not in known:
            raise item.error(f"there is no service {item.text()!r}", did_you_mean(item.text(), known))
    return value.texts()
