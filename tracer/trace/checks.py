"""What a trace must fulfil besides its records' types, so that everything that interprets it ends, and can compute."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

from tracer.trace.endpoint import Endpoint
from tracer.trace.records import Flow, HostName, Listen, Listener, Process, Record, Refused, Run, Span

SPAN_DEPTH: Final = 1000
"""Spans within each other; a test has some ten."""
PROCESS_DEPTH: Final = 100_000
"""Generations of processes: a daemon may fork itself again and again."""
_LATEST: Final = 253402300800.0  # 10000-01-01, after which there is no datetime

_LONG_NUMBER: Final = b"," + 19 * b"0"  # after `_MARKED`
_MARKED: Final = bytes.maketrans(b"123456789[: \t\r\n-", 9 * b"0" + 7 * b",")
"""Makes digits alike, and what comes before a number: finding one is then a search for fixed bytes, which is fast."""
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})*")


def has_long_numbers(lines: bytes) -> bool:
    """Whether lines of JSON may have numbers of more than 64 bits."""
    return _LONG_NUMBER in lines.translate(_MARKED)


def check_numbers(line: bytes, row: object) -> None:
    """Check that a row's numbers have at most 64 bits.

    Raises:
        ValueError: one has more.
    """
    if not has_long_numbers(line):
        return
    waiting: list[Any] = [row]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
            raise ValueError("a number has more than 64 bits")


def check_record(record: Record) -> None:
    """Check the values of a record.

    Raises:
        ValueError: one is out of its range.
    """
    check = _CHECKS.get(type(record))
    if check is not None:
        check(record)


def _check_flow(flow: Flow) -> None:
    _check_address(flow.endpoint)
    for text in (*flow.prefixes, *flow.heads):
        if not _is_hexadecimal(text):
            raise ValueError(f"{text!r:.40} is not hexadecimal")


def _check_refused(refused: Refused) -> None:
    if refused.network:
        ip_network(refused.network)


def _check_run(run: Run) -> None:
    if not 0 <= run.started_at < _LATEST:
        raise ValueError(f"there is no date for {run.started_at}")


@lru_cache(maxsize=4096)  # few endpoints
def _check_address(endpoint: Endpoint) -> None:
    """Check that the host is an address: the kernel knows no names."""
    if endpoint.host:
        ip_address(endpoint.host)


@lru_cache(maxsize=4096)  # many flows begin alike
def _is_hexadecimal(text: str) -> bool:
    return _HEX.fullmatch(text) is not None


_CHECKS: Final[Mapping[type[Record], Callable[[Any], object]]] = {
    Run: _check_run,
    Listen: lambda listen: _check_address(listen.endpoint),
    Flow: _check_flow,
    Listener: lambda listener: _check_address(listener.endpoint),
    HostName: lambda name: ip_address(name.address),
    Refused: _check_refused,
}


def check_nesting(noun: str, records: Mapping[Any, Process | Span], limit: int) -> None:
    """Check that nothing contains itself, and that nothing lies too deep.

    Args:
        noun: what the records are.
        records: id → record; `parent` is the id of what it lies in.
        limit: how deep it may lie.

    Raises:
        ValueError: one does.
    """
    depths: dict[object, int] = {}
    for start in records:
        path = []
        one = start
        while one in records and one not in depths:
            depths[one] = 0  # on the path; replaced below
            path.append(one)
            one = records[one].parent
        depth = depths.get(one, 0)
        if one in records and depth == 0:
            raise ValueError(f"{noun} {one} lies in itself")
        for inner in reversed(path):
            depth += 1
            depths[inner] = depth
        if depth > limit:
            raise ValueError(f"{noun} {start} lies in more than {limit:,} others")
