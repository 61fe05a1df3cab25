"""The values that a configuration has besides plain texts and numbers: ports, hosts, globs, paths of requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Final

from msgspec import Meta

from tracer.classify.services.document import Text, Value, shown
from tracer.classify.services.paths import LONGEST
from tracer.errors import SvcTraceError

Network = IPv4Network | IPv6Network

LOCALHOST: Final = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))  # RFC 6761, 6.3
GLOB_LIMIT: Final = 1024  # characters

LAST_PORT: Final = 65535
_SERVICE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PORT_RANGE: Final = re.compile(r"([0-9]{1,6})\s*-\s*([0-9]{1,6})")
_REQUEST_PATH: Final = re.compile(r"/[!-)+-~]*")
_HOST_NAME: Final = re.compile(r"(?![0-9.]+$)[A-Za-z0-9_.*?\[\]!-]+")  # a name or a glob, but not a malformed address
_MARKER: Final = re.compile(r"(not )?\S+")
_SUITE_PATH: Final = re.compile(r"(?!\.{0,2}/)[\s\S]*[^/]")
_CLOSED: Final = re.compile(r"(?:[^\[]|\[!?+\]?+[^\]]*+\])*+", re.S)  # as fnmatch has it


ServiceName = Annotated[str, Meta(extra_json_schema={"pattern": f"^{_SERVICE_NAME.pattern}$"})]
Glob = Annotated[Text, Meta(extra_json_schema={"maxLength": GLOB_LIMIT})]
Marker = Annotated[Text, Meta(extra_json_schema={"pattern": f"^{_MARKER.pattern}$"})]
SuitePath = Annotated[Glob, Meta(extra_json_schema={"pattern": f"^{_SUITE_PATH.pattern}$"})]
"""A glob over the paths of the suite's files: relative, and of no directory."""
RequestPath = Annotated[Text, Meta(extra_json_schema={"pattern": f"^{_REQUEST_PATH.pattern}$", "maxLength": LONGEST})]
# Only the JSON Schema has these patterns and lengths. The checks below have better messages.


class Host(tuple[Network | str, ...]):
    """The networks of a host (an address is a network), or a name or glob in lower case."""


SCHEMAS: Final[Mapping[Any, Mapping[str, Any]]] = {
    range: {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": LAST_PORT},
            {"type": "string", "pattern": f"^{_PORT_RANGE.pattern}$"},
        ]
    },
    Host: {"type": "string", "minLength": 1},
}
"""The JSON Schema of the types that msgspec does not know."""


def parse(kind: type, data: object) -> range | Host:
    """A value of one of these two types.

    Raises:
        ValueError: of a problem and a hint.
    """
    return _ports(data) if kind is range else _host(data)


def _ports(data: object) -> range:
    hint = 'Give a port from 1 to 65535, or a range such as "15432-15440".'
    if type(data) is int:
        first = last = data
    elif isinstance(data, str) and (match := _PORT_RANGE.fullmatch(data)):
        first, last = int(match[1]), int(match[2])
    else:
        raise ValueError("is neither a port nor a range of ports", hint)
    if not 1 <= first <= LAST_PORT or not 1 <= last <= LAST_PORT:
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


def check_service_name(name: str, table: Value) -> None:
    """Raise a SvcTraceError for the table of a service that cannot have this name."""
    if not _SERVICE_NAME.fullmatch(name):
        raise table.error("is not a name for a service", "Use letters, digits, `.`, `_` and `-`.")


def check_marker(value: Value) -> None:
    """Raise a SvcTraceError if a text is neither a marker nor `not MARKER`."""
    if not _MARKER.fullmatch(value.data):
        raise _invalid(value, 'Name one marker, or give "not NAME" for the tests without it.')


def check_suite_path(value: Value) -> None:
    """Raise a SvcTraceError if a text is no glob over the paths of the suite's files."""
    if not _SUITE_PATH.fullmatch(value.data):
        raise _invalid(value, 'Write it relative to pytest\'s rootdir, and a directory as "tests/slow/**".')
    check_glob(value)


def _invalid(value: Value, hint: str) -> SvcTraceError:
    return value.error(f"{shown(value.data)} is not valid", hint)


def check_request_path(value: Value) -> None:
    """Raise a SvcTraceError if a text cannot begin the path of a request."""
    path: str = value.data
    if not _REQUEST_PATH.fullmatch(path):
        hint = "Write how it begins in requests, such as `/api/`, percent-encoded and without `*`."
        raise value.error(f"{shown(path)} is not the path of a request", hint)
    if len(path) > LONGEST:
        problem = f"{shown(path)} is longer than what can be seen"
        raise value.error(problem, f"Give at most {LONGEST} characters: the first 32 bytes of a request are recorded.")


def check_globs(values: Value) -> None:
    """As `check_glob`, for each of a list."""
    for item in values.items():
        check_glob(item)


def check_glob(value: Value) -> None:
    """Raise a SvcTraceError if a glob is malformed or too long."""
    if not _CLOSED.fullmatch(value.data):
        raise value.error("a `[` without its `]`", "Close it, or write `[[]` for the character.")
    if len(value.data) > GLOB_LIMIT:
        raise value.error("the glob is too long", f"Give at most {GLOB_LIMIT} characters.")
