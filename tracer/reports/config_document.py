"""The configuration in effect: as TOML that has the same effect, or as JSON; with the origin of each part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any, Final

from msgspec.structs import asdict as fields_of

from tracer.classify.services.config import Config
from tracer.classify.services.rules import Contract, ServiceRule
from tracer.classify.services.values import LOCALHOST, Host
from tracer.reports.text import printable
from tracer.reports.toml_text import WIDTH, assignment, key
from tracer.trace.json_codec import dump

SCHEMA: Final = "svc-trace-config/1"


@dataclass(frozen=True, slots=True)
class Publication:
    """The ports at which a service of a Compose file is published."""

    file: str
    service: str
    ports: str  # `9201/tcp`, `8000-8010/udp`


@dataclass(frozen=True, slots=True)
class ConfigDocument:
    """What is in effect, and where it comes from."""

    config: Config
    searched: str  # how the file was found, or that there is none
    environment: Mapping[str, str]  # the variables that svc-trace reads, and that are set
    published: tuple[Publication, ...]
    lines: Mapping[str, int]  # part of the file → its line
    shown: Callable[[str], str]  # how to write the name of a layer, such as a path relative to the working directory

    def toml(self) -> Iterator[str]:
        """The lines of a file that has the same effect as all layers. Comments have the origins."""
        written, origins = as_written(self.config), self.config.origins
        yield "# The configuration in effect. As svc-trace.toml, it has the same effect."
        yield "# Layers, of which a later one wins:"
        for layer in self.config.layers:
            is_file = layer == self.config.source
            yield from _comment(f"  {self.shown(layer)} ({self.searched if is_file else 'built in'})")
        if self.config.source is None:
            yield from _comment(self.searched)
        for name, value in self.environment.items():
            yield from _comment(f"Environment: {name}={value}")
        yield from ("", "# Services: the first one that matches an endpoint is its service.")
        for name, table in written["services"].items():
            yield from self._table(f"[services.{key(name)}]", table, f"services.{name}")
        for name, table in written["assumptions"].items():
            yield from self._table(f"[assumptions.{key(name)}]", table, f"assumptions.{name}")
        for number, table in enumerate(written["tiers"]):
            yield from self._table("[[tiers]]", table, "tiers", f"tiers[{number}]")
        of_file = [origins[f"contracts[{number}]"] == self.config.source for number in range(len(written["contracts"]))]
        first = of_file.count(False)  # those of presets are before
        for number, table in enumerate(written["contracts"]):
            part = f"contracts[{number}]"
            yield from self._table("[[contracts]]", table, part, f"contracts[{number - first}]")
        if "variants" in self.config.origins:
            yield from self._table("[variants]", written["variants"], "variants")
        if self.published:
            yield from ("", "# If no rule names a port of this machine, it has the name from a Compose file:")
            for one in self.published:
                yield from _comment(f"{one.file}: {one.service}: {one.ports}")

    def json(self) -> Iterator[bytes]:
        """Everything. docs/commands.md explains the fields."""
        yield dump(
            {
                "schema": SCHEMA,
                "source": self.config.source,
                "layers": self.config.layers,
                "environment": self.environment,
                "configuration": as_written(self.config),
                "origins": self.config.origins,
                "lines": self.lines,
                "published": [asdict(one) for one in self.published],
            },
            indent=True,
        )

    def _table(self, header: str, table: Mapping[str, Any], part: str, in_file: str | None = None) -> Iterator[str]:
        """A table after an empty line; the origin of the whole, or of a key, is a comment on its line.

        `in_file`: the part's name in the file, if that is another one.
        """
        yield ""
        yield self._with_origin(header, part, in_file or part)
        for name, value in table.items():
            first, *others = assignment(name, value)
            yield self._with_origin(first, f"{part}.{name}", f"{part}.{name}")
            yield from others

    def _with_origin(self, line: str, part: str, in_file: str) -> str:
        origin = self.config.origins.get(part)
        if origin is None:
            return line
        number = self.lines.get(in_file) if origin == self.config.source else None
        return f"{line} # {printable(self.shown(origin))}{'' if number is None else f':{number}'}"


def as_written(config: Config) -> dict[str, Any]:
    """A configuration as the content of one file without `extends` (docs/configuration.md), with plain values."""
    rules = config.rules
    return {
        "services": {name: service_as_written(rule) for name, rule in config.services.items()},
        "assumptions": {name: _stated(fields_of(rule)) for name, rule in rules.assumptions.items()},
        "tiers": [_stated(fields_of(tier), {"within"}) for tier in rules.tiers],
        "contracts": [contract_as_written(contract) for contract in rules.contracts],
        "variants": _stated(fields_of(rules.variants)),
    }


def service_as_written(rule: ServiceRule) -> dict[str, Any]:
    """The table of a service."""
    ports = [one.start if len(one) == 1 else f"{one.start}-{one.stop - 1}" for one in rule.ports]
    hosts = [_host(host) for host in rule.hosts]
    return _stated(fields_of(rule) | {"ports": ports, "hosts": hosts}, {"start_up_s"})


def _host(host: Host) -> str:
    if host == LOCALHOST:
        return "localhost"
    (one,) = host
    return str(one) if isinstance(one, str) else one.with_prefixlen.removesuffix(f"/{one.max_prefixlen}")


def contract_as_written(contract: Contract) -> dict[str, Any]:
    """The table of a contract."""
    services = contract.services if isinstance(contract.services, str) else [*contract.services]
    return {contract.selector: contract.value, "services": services}


def _stated(fields: Mapping[str, Any], also_empty: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    """The keys that say something; sets in alphabetical order. Of some keys, an empty value says something, too."""
    values = {
        name: sorted(value) if isinstance(value, frozenset) else [*value] if isinstance(value, tuple) else value
        for name, value in fields.items()
    }
    return {name: value for name, value in values.items() if value or (name in also_empty and value is not None)}


def _comment(text: str) -> Iterator[str]:
    """A comment of several lines if it is long."""
    yield from wrap(printable(text), WIDTH, initial_indent="# ", subsequent_indent="#   ", break_on_hyphens=False)
