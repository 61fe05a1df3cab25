"""The configuration: the endpoints of each service, and the suite's static rules.

Its layers, first to last: the preset `default`, the presets that the file extends, the file. See docs/configuration.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from tracer.classify.services.document import Text, Value, did_you_mean, read_document, shown
from tracer.classify.services.protocols import MATCHERS
from tracer.classify.services.rules import (
    PRESET_FILES,
    PRESETS,
    AssumptionRule,
    Contract,
    ContractTable,
    Layer,
    Needed,
    Rules,
    Selector,
    ServiceRule,
    Tier,
    VariantRule,
)
from tracer.classify.services.values import (
    check_globs,
    check_marker,
    check_request_path,
    check_service_name,
    check_suite_path,
    parse,
)


class Searched(Struct, frozen=True):
    """Where a configuration came from."""

    source: str | None  # the file; None: there is none
    directories: tuple[Path, ...]  # where it was searched; empty: a file was given


class Config(Struct, frozen=True):
    """All layers merged."""

    source: str | None  # the file; None: built-in presets only
    services: Mapping[str, ServiceRule]  # by name, in matching order: those of later layers first
    rules: Rules
    layers: tuple[str, ...] = ()  # their names, first to last: `preset default`, a file
    origins: Mapping[str, str] = {}  # part, such as `services.redis` or `contracts[0]` → the layer that it is from


_SELECTORS: Final[Mapping[Selector, Callable[[Value], None]]] = {  # selector → the check of its value
    "marker": check_marker,
    "path": check_suite_path,
    "fixture": lambda _: None,
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
    extended: set[str] = set()
    for item in table["extends"].items():
        name = _known("preset", item, PRESETS)
        if name in extended:
            raise item.error(f"the preset {name!r} again", "Name each preset once.")
        extended.add(name)
        layers.append(read_preset(name))
    return _merge([*layers, _read_layer(table)], table.file)


def default_services() -> Mapping[str, ServiceRule]:
    """The services of the preset `default`, in matching order."""
    return _merge([read_preset("default")], None).services


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


class ReadLayer(NamedTuple):
    """A layer: its document, and its services as rules."""

    table: Value
    services: Mapping[str, ServiceRule]  # by name, in the order of the file


@cache
def read_preset(name: str) -> ReadLayer:
    """A preset of svc-trace's own; `default` is part of every configuration."""
    return _read_layer(read_document(PRESET_FILES / f"{name}.toml", f"preset {name}"))


def _read_layer(table: Value) -> ReadLayer:
    services = table.table(Layer.__struct_fields__)["services"].members()
    return ReadLayer(table, {name: _service(name, service) for name, service in services.items()})


def _merge(layers: list[ReadLayer], source: str | None) -> Config:
    origins: dict[str, str] = {}
    services = _merge_services(layers, origins)
    known = sorted(services)
    assumptions: dict[str, AssumptionRule] = {}
    tiers: tuple[Tier, ...] = ()
    contracts: list[Contract] = []
    variants = VariantRule()
    for layer, _ in layers:
        for name, table in layer["assumptions"].members().items():
            if name not in services:
                raise table.error("there is no such service", did_you_mean(name, known))
            assumptions[name] = table.read(AssumptionRule)
            origins[f"assumptions.{name}"] = table.file
            for item in table["paths"].items():
                check_suite_path(item)
        if own := _tiers(layer["tiers"], known):
            tiers, origins["tiers"] = own, layer.file
        for table in layer["contracts"].items():
            origins[f"contracts[{len(contracts)}]"] = table.file
            contracts.append(_contract(table, known))
        if layer["variants"].data is not None:
            variants, origins["variants"] = layer["variants"].read(VariantRule), layer.file
            check_globs(layer["variants"]["parameters"])
    rules = Rules(assumptions, tiers, tuple(contracts), variants)
    return Config(source, services, rules, tuple(layer.file for layer, _ in layers), origins)


def _merge_services(layers: list[ReadLayer], origins: dict[str, str]) -> dict[str, ServiceRule]:
    """The services in matching order; adds their origins."""
    services: dict[str, ServiceRule] = {}
    uppermost: dict[str, Value] = {}  # name → the last layer that has it
    for layer in reversed(layers):
        for name, rule in layer.services.items():
            uppermost.setdefault(name, layer.table)
            part = f"services.{name}"
            if (above := services.get(name)) is not None and _is_only_cost(above):
                del services[name]  # it does not change the order in which rules match
                rule = replace(rule, start_up_s=above.start_up_s)
                origins.setdefault(f"{part}.start_up_s", origins.pop(part))
            if name not in services:
                services[name], origins[part] = rule, layer.table.file
    known = sorted(name for name, rule in services.items() if not _is_only_cost(rule))
    if unknown := next((name for name in services if name not in known), None):
        table = uppermost[unknown]["services"][unknown]
        raise table.error("has only start_up_s, and no preset has this service", did_you_mean(unknown, known))
    return services


def _is_only_cost(rule: ServiceRule) -> bool:
    """Whether a rule has nothing but the start-up cost: its other keys are those of the layer below."""
    return rule.start_up_s is not None and rule == ServiceRule(start_up_s=rule.start_up_s)


def _service(name: str, table: Value) -> ServiceRule:
    check_service_name(name, table)
    rule: ServiceRule = table.read(ServiceRule, parse=parse)
    check_globs(table["hosts"])
    check_globs(table["unix"])
    for item in table["paths"].items():
        check_request_path(item)
    if rule.protocol is not None:
        protocol = _known("protocol", table["protocol"], MATCHERS)
        if rule.paths and protocol != "http":
            raise table["protocol"].error(
                f"{protocol!r} beside paths, which only HTTP/1 has", 'Leave it out, write "http", or leave paths out.'
            )
    if rule == ServiceRule(ignore=True):
        raise table.error("ignores nothing", "Add ports, hosts, unix, paths or protocol.")
    return rule


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
    keys = table.table(ContractTable.__struct_fields__).members()
    selectors = [selector for selector in _SELECTORS if selector in keys]
    if len(selectors) != 1:
        raise table.error("selects no tests, or selects them twice", "Give exactly one of marker, path, fixture.")
    value = table[selectors[0]].read(Text)
    _SELECTORS[selectors[0]](table[selectors[0]])
    needed = table["services"].read(Needed, 'Give "none", "some", or a list of services.')
    for item in table["services"].items() if isinstance(needed, tuple) else ():
        _known("service", item, services)
    return Contract(selectors[0], value, needed)


def _known(noun: str, value: Value, names: Collection[str]) -> str:
    name: str = value.read(Text)
    if name not in names:
        raise value.error(f"there is no {noun} {shown(name)}", did_you_mean(name, names))
    return name
