"""Mutations of inputs: of their structure, and of their bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, Final, Literal

Kind = Literal["json", "json lines", "lines", "bytes"]

VALUES: Final[Sequence[Any]] = (
    None, True, False, 0, 1, -1, 2, 65535, 65536, 1 << 31, (1 << 53) + 1, (1 << 63) - 1, 1 << 63,
    (1 << 64) - 1, 1 << 64,    -(1 << 63), -(1 << 63) - 1, 10**25, 10**400, 0.5, -0.0, 1e-320, 1e15, 1e300, 1.7e308,
    "", "x", "0", "zz", "0g", "f" * 65, "a/b.py::t", "a/b.py::T::t[x-1]", "\x1b[2J", "\0", "\n", "\u2028", "\ud800",
    "\udc80x", "\ud83d\ude00", "é", "[", "[a", "**", "**/**/**", "*" * 40, "[!]a]", "not x", "unknown:", "unix://",
    "tcp://127.0.0.1:5432", "tcp://[::1]:1", "tcp://x:0", "tcp://:0", "udp://[fe80::1]:53", "tcp://1.2.3:4",
    "tcp://127.0.0.1:99999", "fixture:x@y", "module:x", "9" * 50, "2026-11-20T21:45:00Z", "none", "some",
    "deep!", [], {}, [[]], [None], {"": None}, {"x": 1}, ["x"], [0], [1, 2, 3],
)  # fmt: skip
TOKENS: Final = [
    *(json.dumps(value).encode() for value in VALUES),
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"\xff", b"\x00", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"[" * 40, b"{" * 40, b"[" * 3900, b"]", b"}", b'"', b"'",
    b"\\", b"\\u", b"\\ud800", b",", b":",
    b"=", b".", b"::", b"[", b"<", b">", b"<...", b"...", b"\x1f\x8b", b"#", b"+", b"*", b"?", b"[!", b"**/", b" = ",
    b"0x", b"'''", b'"""', b"1979-05-27T07:32:00Z", b"1_000", b"inf", b"[[x]]", b"{}",
]  # fmt: skip
_DEEP: Final = b"[" * 3000 + b"]" * 3000  # in the place of the value "deep!"


class Mutate:
    """Makes changed inputs."""

    def __init__(self, chance: random.Random, kind: Kind, seeds: Sequence[bytes]) -> None:
        self._chance = chance
        self._kind = kind
        self._seeds = seeds

    def __call__(self, data: bytes) -> bytes:
        """A changed input."""
        dice = self._chance.random()
        if dice < 0.7 and self._kind == "json":
            return self._json(data)
        if dice < 0.8 and self._kind in ("json lines", "lines"):
            lines = data.split(b"\n")
            for _ in range(self._chance.choice((1, 1, 1, 2, 4))):
                self._line(lines)
            return b"\n".join(lines)
        for _ in range(self._chance.choice((1, 1, 2, 3, 8))):
            data = self._bytes(data)
        return data

    def _line(self, lines: list[bytes]) -> None:
        chance = self._chance
        place = chance.randrange(len(lines))
        match chance.randrange(8):
            case 0:
                del lines[place]
                lines.append(b"") if not lines else None
            case 1:
                lines.insert(place, lines[chance.randrange(len(lines))])
            case 2:
                other = chance.randrange(len(lines))
                lines[place], lines[other] = lines[other], lines[place]
            case 3:
                lines.insert(place, chance.choice(chance.choice(self._seeds).split(b"\n")))
            case _ if self._kind == "json lines":
                lines[place] = self._json(lines[place])
            case _:
                lines[place] = self._bytes(lines[place])

    def _json(self, data: bytes) -> bytes:
        """Change values of a JSON text; its bytes, if it is none."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            return self._bytes(data)
        nodes = _nodes(document)
        if not nodes:
            return self._bytes(data)
        for _ in range(self._chance.choice((1, 1, 1, 2, 3))):
            self._change(*self._chance.choice(nodes), nodes)
        try:
            return json.dumps(document, separators=(",", ":")).encode().replace(b'"deep!"', _DEEP)
        except (ValueError, RecursionError):  # a value was put into itself
            return self._bytes(data)

    def _change(self, parent: Any, key: Any, nodes: list[tuple[Any, Any]]) -> None:  # noqa: ANN401 -- JSON
        chance = self._chance
        try:
            value = parent[key]
            match chance.randrange(9):
                case 0:
                    del parent[key]
                case 1:
                    other, name = chance.choice(nodes)
                    parent[key] = other[name]
                case 2 if isinstance(parent, list):
                    parent.insert(key, value)
                case 3 if isinstance(parent, dict):
                    parent[str(chance.choice(VALUES))] = value
                case 4 if isinstance(value, int):
                    parent[key] = value + chance.choice((-1, 1, 10, -value, 1 << chance.randrange(70)))
                case 5 if isinstance(value, str):
                    at = chance.randrange(len(value) + 1)
                    parent[key] = value[:at] + str(chance.choice(VALUES)) + value[at + chance.randrange(3) :]
                case _:
                    parent[key] = chance.choice(VALUES)
        except (KeyError, IndexError):  # it was removed before
            return

    def _bytes(self, data: bytes) -> bytes:
        chance = self._chance
        at = chance.randrange(len(data) + 1)
        size = chance.choice((1, 1, 2, 4, 16, 64))
        match chance.randrange(7):
            case 0:
                return data[:at] + data[at + size :]
            case 1:
                return data[:at] + data[at : at + size] + data[at:]
            case 2:
                return data[:at] + chance.randbytes(size) + data[at + size :]
            case 3:
                other = chance.choice(self._seeds)
                begin = chance.randrange(len(other) + 1)
                return data[:at] + other[begin : begin + size * 4] + data[at:]
            case 4 if chance.random() < 0.05:
                return data[:at]
            case 5 if at < len(data):
                return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
            case _:
                return data[:at] + chance.choice(TOKENS) + data[at + chance.choice((0, 0, size)) :]


def _nodes(document: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401 -- JSON
    """All values in a document, each by its parent and its key."""
    found: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        parent = waiting.pop()
        keys = range(len(parent)) if isinstance(parent, list) else list(parent) if isinstance(parent, dict) else ()
        for key in keys:
            found.append((parent, key))
            waiting.append(parent[key])
    return found
