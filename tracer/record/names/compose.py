"""Names of the services in the Compose files of a project, by the ports that they publish.

That a file lists a port does not prove that the service runs there: see `may_be_container` in nearby.py.
Source of the syntax: compose-spec/compose-spec, 05-services.md (ports), 10-fragments.md, 13-merge.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from tracer.record.names.containers import is_published_at
from tracer.record.names.interpolation import interpolate, variables_in
from tracer.record.names.name import host_name
from tracer.record.names.regular_file import handle_of, read_regular
from tracer.trace.endpoint import Endpoint

_FILES: Final = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
"""The first that exists is used, with all that override it. Source: compose-spec/compose-go, cli/options.go."""
_OVERRIDES: Final = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
_LIMIT: Final = 1 << 18
"""Bytes of a file. A large one has some 20,000; the parser takes about a second for so many."""
_MOST_FILES: Final = 16
_MOST_NODES: Final = 100_000
"""Keys and entries that are looked at in a file. By aliases, a short file can have any number of them."""
_LONGEST: Final = 256
"""Characters of a port's text."""
_SHORT: Final = re.compile(
    r"(?:(?:\[(?P<host6>[0-9A-Fa-f:.]+)\]|(?P<host>[0-9.]+)):)?"
    r"(?P<ports>[0-9]{1,5}(?:-[0-9]{1,5})?):[0-9]{1,5}(?:-[0-9]{1,5})?(?:/(?P<protocol>[a-z]+))?"
)
"""`[HOST:]CONTAINER[/PROTOCOL]`, where the container's port is published at a port that the file names."""
_OWN_PORT: Final = re.compile(r"(?:.*:)?(?P<port>[0-9]{1,5})(?:-[0-9]{1,5})?(?:/[a-z]+)?")
"""The container's port in the same, or alone, if the engine chooses the port of the machine."""
_MERGE: Final = "tag:yaml.org,2002:merge"

_Node: TypeAlias = Any
"""PyYAML's node: `id` is scalar, sequence or mapping, and `value` its text, its nodes, or its pairs of nodes."""


class Published(NamedTuple):
    """A service publishes one of these ports, or all of them."""

    service: str
    protocol: str
    host: str  # an address of the machine; a wildcard or empty: all of them
    first: int
    last: int


class Declared(NamedTuple):
    """A service of a Compose file."""

    service: str
    image: str  # empty: it is built
    published: tuple[Published, ...]
    own_ports: tuple[int, ...]  # of the container, those that are published anywhere


def service_at(published: Iterable[Published], endpoint: Endpoint, *, local: bool) -> str:
    """The service that is published at an endpoint; empty: none, or several, of which a profile may choose one."""
    services = {
        one.service
        for one in published
        if one.protocol == endpoint.protocol
        and one.first <= endpoint.port <= one.last
        and is_published_at(one.host, endpoint, local=local)
    }
    return services.pop() if len(services) == 1 else ""


def published_by(directory: Path, environment: Mapping[str, str]) -> list[Published]:
    """What the Compose files publish that the user has at hand in a directory (`compose_files`)."""
    files = compose_files(directory, environment)
    return [one for _, text, variables in files for one in published_in(text, variables)]


def compose_files(directory: Path, environment: Mapping[str, str]) -> Iterator[tuple[Path, str, Mapping[str, str]]]:
    """The Compose files that the user has at hand in a directory: path, text, variables.

    These are the files in COMPOSE_FILE, or those in the directory, or in the nearest one above it that has any, up to
    the top of the Git repository. Files that cannot be read are left out.
    """
    variables = _variables(directory, environment)
    if named := variables.get("COMPOSE_FILE"):
        paths = [
            directory / name for name in named.split(variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep) if name
        ]
    else:
        paths = _at_hand(directory)
        if paths and paths[0].parent != directory:
            variables = _variables(paths[0].parent, environment)
    for path in paths[:_MOST_FILES]:
        if text := _text(path):
            yield path, text, variables


def _variables(directory: Path, environment: Mapping[str, str]) -> Mapping[str, str]:
    return variables_in(_text(directory / ".env"), environment)


def _at_hand(directory: Path) -> list[Path]:
    for place in _up_to_repository(directory):
        if files := _existing(place, _FILES):
            return [files[0], *_existing(place, _OVERRIDES)]
    return []


def _existing(directory: Path, names: Iterable[str]) -> list[Path]:
    with suppress(OSError):  # not permitted
        return [path for name in names if (path := directory / name).exists()]
    return []


def _up_to_repository(directory: Path) -> list[Path]:
    """A directory and those above it, up to the top of its Git repository; without a repository, only itself."""
    places = []
    for place in (directory, *directory.parents):
        places.append(place)
        if _existing(place, [".git"]):
            return places
    return places[:1]


def _text(path: Path) -> str:
    """The text of a file; empty: it is missing, not a regular file, too large, or not text."""
    with suppress(OSError, UnicodeDecodeError), handle_of(path) as handle:
        content = read_regular(handle, _LIMIT + 1)
        if len(content) <= _LIMIT:
            return content.decode()
    return ""


def published_in(text: str, variables: Mapping[str, str]) -> list[Published]:
    """What a Compose file publishes. Of a file that is none: nothing, whatever it contains."""
    return [published for one in declared_in(text, variables) for published in one.published]


def declared_in(text: str, variables: Mapping[str, str]) -> list[Declared]:
    """The services of a Compose file. Of a file that is none: nothing, whatever it contains."""
    import yaml  # takes 17 ms, and few suites need it

    try:
        # Composed only, not loaded: aliases and merge keys do not multiply, `22:22` stays a text, no tag is unknown.
        document = _Document(yaml.compose(text, yaml.SafeLoader), variables)
        return list(document.services())
    except Exception:  # a report must not depend on this file, whatever a parser of others raises
        return []


class _Document:
    """A Compose file as a graph of nodes."""

    def __init__(self, root: _Node | None, variables: Mapping[str, str]) -> None:
        self._root = root
        self._variables = variables
        self._left = _MOST_NODES

    def services(self) -> Iterator[Declared]:
        for name, service in self._children(self._children(self._root).get("services")).items():
            if host_name(name):
                fields = self._children(service)
                ports = [self._port(host_name(name), port) for port in self._entries(fields.get("ports"))]
                published = tuple(one for one, _ in ports if one)
                image = self._scalar(fields["image"]) if "image" in fields else ""
                yield Declared(host_name(name), image, published, tuple(own for _, own in ports if own))

    def _port(self, service: str, node: _Node) -> tuple[Published | None, int]:
        """What is published, and the container's port, or 0."""
        if text := self._scalar(node):
            match, own = _SHORT.fullmatch(text), _OWN_PORT.fullmatch(text)
            host, protocol = (match["host6"] or match["host"] or "", match["protocol"]) if match else ("", "")
            published = _published(service, protocol, host, match["ports"]) if match else None
            return published, int(own["port"]) if own else 0
        port = {key: self._scalar(value) for key, value in self._children(node).items()}
        published = _published(service, port.get("protocol"), port.get("host_ip", ""), port.get("published", ""))
        target = port.get("target", "")
        return published, int(target) if target.isdecimal() and len(target) <= 5 else 0

    def _children(self, node: _Node | None) -> dict[str, _Node]:
        """The values of a mapping by their keys, also those that merge keys add (https://yaml.org/type/merge.html)."""
        children: dict[str, _Node] = {}
        waiting, seen = [node], set[int]()
        while waiting:
            current = waiting.pop()
            if current is None or id(current) in seen:
                continue
            seen.add(id(current))
            if current.id == "sequence":
                waiting += reversed(list(self._entries(current)))
            elif current.id == "mapping":
                for key, value in self._entries(current):
                    if key.tag == _MERGE:
                        waiting.append(value)
                    elif key.id == "scalar":
                        children.setdefault(key.value, value)
        return children

    def _entries(self, node: _Node | None) -> Iterator[Any]:
        """The entries of a sequence, or the pairs of a mapping.

        Raises:
            ValueError: the document has too many.
        """
        for entry in node.value if node and node.id != "scalar" else ():
            self._left -= 1
            if self._left < 0:
                raise ValueError("too many nodes")
            yield entry

    def _scalar(self, node: _Node) -> str:
        """The text of a scalar with its variables replaced; empty: it is none."""
        text: str = node.value if node.id == "scalar" else ""
        return interpolate(text, self._variables) if len(text) <= _LONGEST else ""


def _published(service: str, protocol: str | None, host: str, ports: str) -> Published | None:
    """What a service publishes at a port or a range of ports; None: at a port that the engine chooses."""
    first, _, last = ports.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        return None
    return Published(service, protocol or "tcp", host, int(first), int(last or first))
