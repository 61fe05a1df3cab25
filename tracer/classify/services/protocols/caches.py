"""Caches: Redis, memcached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tracer.classify.services.protocols.pattern import pattern

_STAT: Final = 0x10  # its key is optional
_WITHOUT_KEY: Final = frozenset({0x07, 0x08, 0x0A, 0x0B, 0x17, 0x18, 0x1B, 0x20})  # quit, flush, noop, version, …
_WITH_VALUE: Final = frozenset({*range(0x01, 0x04), 0x0E, 0x0F, *range(0x11, 0x14), 0x19, 0x1A, 0x21, 0x22})
_EXTRAS: Final[Mapping[int, tuple[int, ...]]] = {
    **dict.fromkeys((0x00, 0x04, 0x07, *range(0x09, 0x11), 0x14, 0x17, 0x19, 0x1A, 0x20, 0x21, 0x22), (0,)),  # get, …
    **dict.fromkeys((0x01, 0x02, 0x03, 0x11, 0x12, 0x13), (8,)),  # set, add, replace
    **dict.fromkeys((0x05, 0x06, 0x15, 0x16), (20,)),  # increment, decrement
    **dict.fromkeys((0x08, 0x18), (0, 4)),  # flush
    **dict.fromkeys((0x1B, 0x1C, 0x1D, 0x1E, 0x23, 0x24), (4,)),  # verbosity, touch, get and touch
}
"""Operation of memcached's binary protocol → possible lengths of its extras."""

# An array of bulk strings. Source: https://redis.io/docs/latest/develop/reference/protocol-spec/. Inline commands
# (`PING`) are left out: lines of any text protocol would match.
redis: Final = pattern(rb"\*[1-9][0-9]{0,6}\r\n\$[0-9]{1,9}\r\n")

# A command line that is complete, or as long as the recorded part of a send. Source:
# https://github.com/memcached/memcached/blob/master/doc/protocol.txt. Commands are in lower case; storing ones have
# flags, expiry and length in numbers.
_text: Final = pattern(
    rb"(?:set|add|replace|append|prepend|cas) [!-~]+(?: -?[0-9]+){3,4}(?: noreply)? ?\r\n"
    rb"|(?:gets?|gats?|delete|incr|decr|touch|m[gsda]) [!-~]+(?: [!-~]+)* ?\r\n"
    rb"|(?:set|add|replace|append|prepend|cas|gets?|gats?|delete|incr|decr|touch|m[gsda]) [ -~]+\r?\Z(?<=.{32})"
    rb"|(?:version|stats|flush_all|mn)\r\n"
)


def _binary(send: bytes) -> bool:
    """A request of memcached's binary protocol: magic 0x80, 24 bytes of header, vbucket 0.

    Source: https://github.com/memcached/memcached/wiki/BinaryProtocolRevamped. Magic, operation, key's length (2),
    extras' length (1), data type (1), vbucket (2), body's length (4): network order. The body consists of extras, key
    and value.
    """
    if len(send) < 24 or send[0] != 0x80 or send[5:8] != bytes(3):
        return False
    operation, key, extras = send[1], int.from_bytes(send[2:4], "big"), send[4]
    value = int.from_bytes(send[8:12], "big") - key - extras
    if key == 0 and send[16:24] != bytes(8):  # a version of an item
        return False
    if key > 250 or extras not in _EXTRAS.get(operation, ()) or (operation in _WITHOUT_KEY) != (key == 0):
        return operation == _STAT and (key, extras, value) == (0, 0, 0)
    return 0 <= value < 1 << 30 if operation in _WITH_VALUE else value == 0


def memcached(send: bytes) -> bool:
    """A request of memcached's text or binary protocol."""
    return _text(send) or _binary(send)
