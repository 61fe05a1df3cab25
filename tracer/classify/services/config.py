"""The configuration: the endpoints of each service, and the suite's static rules.

Its layers, first to last: the preset `default`, the presets that the file extends, the file. See docs/configuration.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from tracer.classify.services.document import Text, Value, did_you_mean, read_document, shown
from tracer.classify.services.paths import LONGEST
from tracer.classify.services.protocols import MATCHERS

Network = IPv4Network | IPv6Network
Selector = Literal["marker", "path", "fixture"]
Needed = Literal["none", "some"] | Annotated[tuple[Text, ...], Meta(min_length=1)]
"""No service, at least one, or each of these."""

LOCALHOST: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))  # RFC 6761, 6.3

_PRESETS: Final = Path(__file__).parent / "presets"
_SERVICE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PORT_RANGE: Final = re.compile(r"([0-9]{1,6})\s*-\s*([0-9]{1,6})")
_REQUEST_PATH: Final = re.compile(r"/[!-)+-~]*")
_HOST_NAME: Final = re.compile(r"(?![0-9.]+$)[A-Za-z0-9_.*?\[\]!-]+")  # a name or a glob, but not a malformed address


class Host(tuple[Network | str, ...]):
    """The networks of a host (an address is a network), or a name or glob in lower case."""


class ServiceRule(Struct, frozen=True):
    """The endpoints of one service: `[services.NAME]`."""

    ports: tuple[range, ...] = ()
    hosts: tuple[Host, ...] = ()
    unix: tuple[Text, ...] = ()  # globs over the whole path
    paths: tuple[Text, ...] = ()  # beginnings of the paths of HTTP/1 requests
    protocol: Text | None = None  # one of `protocols.MATCHERS`
    ignore: bool = False  # infrastructure that no report shows
    start_up_s: Annotated[float, Meta(ge=0, le=86_400)] | None = None  # until it is ready in CI; None: not measured


class AssumptionRule(Struct, frozen=True):
    """The static rule of a service: `[assumptions.SERVICE]`. One matching entry claims that a test needs it."""

    fixtures: frozenset[Text] = frozenset()
    markers: frozenset[Text] = frozenset()
    classes: tuple[Text, ...] = ()
    paths: tuple[Text, ...] = ()  # globs, `**` for any number of directories
    in_class: bool = False  # every test that is a method


class Tier(Struct, frozen=True):
    """A group of tests by the services they use: `[[tiers]]`. Without a condition it fits every test."""

    name: Text
    within: frozenset[Text] | None = None  # uses no other service than these
    any: Annotated[frozenset[Text], Meta(min_length=1)] | None = None  # uses at least one of these


class Contract(Struct, frozen=True):
    """What the tests of a marker, path or fixture have to use: `[[contracts]]`."""

    selector: Selector
    value: str  # of a marker also `not NAME`: the tests without it
    services: Needed


class VariantRule(Struct, frozen=True):
    """The parts of node ids in which the variants of a test differ: `[variants]`."""

    parameters: tuple[Text, ...] = ()  # globs over a parameter as the node id shows it
    class_suffixes: tuple[Text, ...] = ()  # ends of class names


class Rules(Struct, frozen=True):
    """The rules that need only a test's services and static facts, so that a report is enough to check them."""

    assumptions: Mapping[str, AssumptionRule] = {}  # service → rule
    tiers: tuple[Tier, ...] = ()
    contracts: tuple[Contract, ...] = ()
    variants: VariantRule = VariantRule()


class Searched(Struct, frozen=True):
    """Where a configuration came from."""

    source: str | None  # the file; None: there is none
    directories: tuple[Path, ...]  # where it was searched; empty: a file was given


class Config(Struct, frozen=True):
    """All layers merged."""

    source: str | None  # the file; None: built-in presets only
    services: Mapping[str, ServiceRule]  # by name, in matching order: those of later layers first
    rules: Rules


_GLOB_LIMIT: Final = 1024  # characters
_CLOSED: Final = re.compile(r"(?:[^\[]|\[!?+\]?+[^\]]*+\])*+", re.S)  # as fnmatch has it

_Marker = Annotated[str, Meta(pattern=r"^(not )?\S+\Z")]
_Path = Annotated[str, Meta(pattern=r"^(?!\.{0,2}/)(?s:.*)[^/]\Z")]
_SELECTORS: Final[Mapping[Selector, tuple[Any, str]]] = {  # selector → the type of its value, a hint
    "marker": (_Marker, 'Name one marker, or give "not NAME" for the tests without it.'),
    "path": (_Path, 'Write it relative to pytest\'s rootdir, and a directory as "tests/slow/**".'),
    "fixture": (Text, ""),
}


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
    layers = [read_preset("default")]
    if table is None:
        return _merge(layers, None)
    if table.data is None:
        raise table.error("no such table", "Add it, or name another file.")
    presets = sorted(path.stem for path in _PRESETS.glob("*.toml"))
    extended: set[str] = set()
    for item in table["extends"].items():
        name = _known("preset", item, presets)
        if name in extended:
            raise item.error(f"the preset {name!r} again", "Name each preset once.")
        extended.add(name)
        layers.append(read_preset(name))
    return _merge([*layers, table], table.file)


def searched_directories(directory: Path) -> tuple[Path, ...]:
    """The directories in which a configuration is searched, the first one first."""
    start = directory.absolute()
    directories = (start, *start.parents)
    roots = (number for number, parent in enumerate(directories, 1) if os.access(parent / ".git", os.F_OK))
    return directories[: next(roots, len(directories))]


def _search(directory: Path) -> Value | None:
    for parent in searched_directories(directory):
        for name in ("svc-trace.toml", "pyproject.toml"):
            # exists() would raise in a directory without search permission
            if os.access(parent / name, os.F_OK) and (table := _table(parent / name)).data is not None:
                return table
    return None


def _table(path: Path) -> Value:
    document = read_document(path, str(path))
    return document["tool"]["svc-trace"] if path.name == "pyproject.toml" else document


@cache
def read_preset(name: str) -> Value:
    """A preset of svc-trace's own; `default` is part of every configuration."""
    return read_document(_PRESETS / f"{name}.toml", f"preset {name}")


def _merge(layers: list[Value], source: str | None) -> Config:
    services: dict[str, ServiceRule] = {}
    tables: dict[str, Value] = {}  # the uppermost of each service
    for layer in reversed(layers):
        for name, table in layer.table(("extends", "services", *Rules.__struct_fields__))["services"].members().items():
            tables.setdefault(name, table)
            rule = _service(name, table)
            if (above := services.get(name)) is not None and _is_only_cost(above):
                del services[name]  # it does not change the order in which rules match
                rule = replace(rule, start_up_s=above.start_up_s)
            services.setdefault(name, rule)
    known = sorted(name for name, rule in services.items() if not _is_only_cost(rule))
    if unknown := next((name for name in services if name not in known), None):
        raise tables[unknown].error("has only start_up_s, and no preset has this service", did_you_mean(unknown, known))
    assumptions: dict[str, AssumptionRule] = {}
    tiers: tuple[Tier, ...] = ()
    contracts: list[Contract] = []
    variants = VariantRule()
    for layer in layers:
        for name, table in layer["assumptions"].members().items():
            if name not in services:
                raise table.error("there is no such service", did_you_mean(name, known))
            assumptions[name] = table.read(AssumptionRule)
            for item in table["paths"].items():
                item.read(*_SELECTORS["path"])
            _check_globs(table["paths"])
        tiers = _tiers(layer["tiers"], known) or tiers
        contracts += [_contract(table, known) for table in layer["contracts"].items()]
        variants = layer["variants"].read(VariantRule, default=variants)
        _check_globs(layer["variants"]["parameters"])
    return Config(source, services, Rules(assumptions, tiers, tuple(contracts), variants))


def _is_only_cost(rule: ServiceRule) -> bool:
    """Whether a rule has nothing but the start-up cost: its other keys are those of the layer below."""
    return rule.start_up_s is not None and rule == ServiceRule(start_up_s=rule.start_up_s)


def _service(name: str, table: Value) -> ServiceRule:
    if not _SERVICE_NAME.fullmatch(name):
        raise table.error("is not a name for a service", "Use letters, digits, `.`, `_` and `-`.")
    rule: ServiceRule = table.read(ServiceRule, parse=lambda kind, data: (_ports if kind is range else _host)(data))
    _check_globs(table["hosts"])
    _check_globs(table["unix"])
    for item in table["paths"].items():
        _check_request_path(item)
    if rule.protocol is not None:
        protocol = _known("protocol", table["protocol"], MATCHERS)
        if rule.paths and protocol != "http":
            raise table["protocol"].error(
                f"{protocol!r} beside paths, which only HTTP/1 has", 'Leave it out, write "http", or leave paths out.'
            )
    if rule == ServiceRule(ignore=True):
        raise table.error("ignores nothing", "Add ports, hosts, unix, paths or protocol.")
    return rule


def _check_request_path(value: Value) -> None:
    path: str = value.data
    if not _REQUEST_PATH.fullmatch(path):
        hint = "Write how it begins in requests, such as `/api/`, percent-encoded and without `*`."
        raise value.error(f"{shown(path)} is not the path of a request", hint)
    if len(path) > LONGEST:
        problem = f"{shown(path)} is longer than what can be seen"
        raise value.error(problem, f"Give at most {LONGEST} characters: the first 32 bytes of a request are recorded.")


def _ports(data: object) -> range:
    hint = 'Give a port from 1 to 65535, or a range such as "15432-15440".'
    if type(data) is int:
        first = last = data
    elif isinstance(data, str) and (match := _PORT_RANGE.fullmatch(data)):
        first, last = int(match[1]), int(match[2])
    else:
        raise ValueError("is neither a port nor a range of ports", hint)
    if not 1 <= first <= 65535 or not 1 <= last <= 65535:
        raise ValueError(f"{shown(data)} is outside 1-65535", hint)
    if first > last:
        raise ValueError(f"the range {data!r} is reversed", f'Write "{last}-{first}".')
    return range(first, last + 1)


def _host(data: object) -> Host:
    text = data.lower() if isinstance(data, str) else ""
    if text == "localhost":
        return Host(LOCALHOST)
    try:
        return Host([_unmapped(ip_network(text))])
    except ValueError as error:
        if "/" in text:
            raise ValueError(f"is not a network: {error}", 'Write it as in "10.0.0.0/8".') from None
    if _HOST_NAME.fullmatch(text):
        return Host([text])
    raise ValueError(
        f"{shown(data)} is not a host", 'Give an address, a network ("10.0.0.0/8"), a name or a glob ("10.0.*").'
    )


def _unmapped(network: Network) -> Network:
    """A network of IPv4-mapped IPv6 addresses as IPv4, because endpoints are written so (RFC 4291, 2.5.5.2)."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped and network.prefixlen >= 96 else network


def _tiers(value: Value, services: Collection[str]) -> tuple[Tier, ...]:
    tiers: dict[str, Tier] = {}
    for table in value.items():
        name = table["name"].read(Text)
        if name in tiers:
            raise table["name"].error(f"a second tier {name!r}", "Merge the two, or rename one.")
        tiers[name] = table.read(Tier)
        for item in (*table["within"].items(), *table["any"].items()):
            _known("service", item, services)
    return tuple(tiers.values())


def _contract(table: Value, services: Collection[str]) -> Contract:
    keys = table.table((*_SELECTORS, "services")).members()
    selectors = [selector for selector in _SELECTORS if selector in keys]
    if len(selectors) != 1:
        raise table.error("selects no tests, or selects them twice", "Give exactly one of marker, path, fixture.")
    value = table[selectors[0]].read(*_SELECTORS[selectors[0]])
    if selectors == ["path"]:
        _check_glob(table["path"])
    needed = table["services"].read(Needed, 'Give "none", "some", or a list of services.')
    for item in table["services"].items() if isinstance(needed, tuple) else ():
        _known("service", item, services)
    return Contract(selectors[0], value, needed)


def _check_globs(values: Value) -> None:
    for item in values.items():
        _check_glob(item)


def _check_glob(value: Value) -> None:
    if not _CLOSED.fullmatch(value.data):
        raise value.error("a `[` without its `]`", "Close it, or write `[[]` for the character.")
    if len(value.data) > _GLOB_LIMIT:
        raise value.error("the glob is too long", f"Give at most {_GLOB_LIMIT} characters.")


def _known(noun: str, value: Value, names: Collection[str]) -> str:
    name: str = value.read(Text)
    if name not in names:
        raise value.error(f"there is no {noun} {shown(name)}", did_you_mean(name, names))
    return name
