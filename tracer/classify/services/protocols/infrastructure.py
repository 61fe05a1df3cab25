"""Coordination, mail, directories, metrics and logs: ZooKeeper, SMTP, LDAP, statsd, GELF."""

from __future__ import annotations

import re
from typing import Final

from tracer.classify.services.protocols.pattern import pattern

_LDAP_FIRST: Final = {b"\x60": b"\x02\x01\x03\x04", b"\x63": b"\x04", b"\x77": b"\x80"}
"""Request → how its contents begin, up to the type of the first text: Bind (version 3, name), Search (base), Extended
(name)."""

# A greeting of the client. Source: RFC 5321, 4.1.1.1; RFC 2033 (LHLO).
smtp: Final = pattern(rb"(?i:EHLO|HELO|LHLO) [\x21-\x7e]")

# A metric, `name:value|type`, or an event or service check of DogStatsD; the types are counter, timer, gauge, set (of
# anything), histogram and distribution. Source: https://github.com/statsd/statsd/blob/master/docs/metric_types.md and
# https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/.
statsd: Final = pattern(
    rb"[A-Za-z_][\w./-]*(?:(?::[+-]?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)+\|(?:c|ms|g|h|d)|:[\w.@-]+\|s)(?:\||\r?\n|\Z)"
    rb"|_e\{[1-9][0-9]{0,3},[1-9][0-9]{0,3}\}:"
    rb"|_sc\|[^|\r\n]+\|[0-3](?:\||\r?\n|\Z)"
)

# JSON that begins with the version, or the first chunk of a compressed message or one in JSON: magic, id (8), number 0,
# count (at most 128). A compressed message in one datagram is left out: only decompression would show what it is.
# graypy sends the version 1.0. Source: https://go2docs.graylog.org/current/getting_in_log_data/gelf.html; RFC 1950, 2.2
# and RFC 1952, 2.3.1 (begin of compressed data).
gelf: Final = pattern(
    rb"\{ ?\"version\" ?: ?\"1\.[01]\" ?, ?\"(?:host|short_message)\""
    rb"|\x1e\x0f.{8}\0[\x02-\x80](?:\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08|\{ ?\")"
)


def zookeeper(send: bytes) -> bool:
    """A ConnectRequest: 44 or 45 bytes (with the read-only flag), protocol 0, a timeout, a password of 16 bytes.

    Source: https://github.com/apache/zookeeper/blob/master/zookeeper-jute/src/main/resources/zookeeper.jute. Length,
    protocol (4), last zxid (8), timeout in ms (4), session (8), password with its length (4 + 16): network order.
    """
    return (
        send[:3] == bytes(3)
        and send[3:8] in (b"\x2c\0\0\0\0", b"\x2d\0\0\0\0")
        and 0 < int.from_bytes(send[16:20], "big") < 1 << 31
        and send[28:32] == b"\0\0\0\x10"
    )


def ldap(send: bytes) -> bool:
    """A BindRequest of version 3, a SearchRequest or an ExtendedRequest.

    Source: RFC 4511, 4.1.1, 4.2, 4.5.1, 4.12 and 5.1; X.690, 8.1.3 (lengths). A sequence of the message's id, the
    request, and possibly controls.
    """
    message, message_end = _ber(send, 0, b"\x30")
    number, number_end = _ber(send, message, b"\x02")
    kind = send[number_end : number_end + 1]
    request, request_end = _ber(send, number_end, kind)
    first = _LDAP_FIRST.get(kind)
    if first is None or not send[request:].startswith(first):
        return False
    text, text_end = _ber(send, request + len(first) - 1, first[-1:])
    if not 0 < number < number_end <= number + 4 or not 0 < text <= text_end <= request_end <= message_end:
        return False
    if kind == b"\x63":  # an enumeration follows: the scope
        return send[text_end : text_end + 2] in (b"\x0a\x01", b"\x0a", b"")
    return kind == b"\x60" or re.fullmatch(rb"[0-9.]+", send[text:text_end]) is not None


def _ber(send: bytes, start: int, kind: bytes) -> tuple[int, int]:
    """Where the contents of an element of BER begin and end; (0, 0): there is no element of this kind."""
    if send[start : start + 1] != kind or len(send) < start + 2:
        return 0, 0
    length, begin = send[start + 1], start + 2
    if length > 0x80:  # the long form
        length, begin = int.from_bytes(send[begin : begin + length - 0x80], "big"), begin + length - 0x80
    return (begin, begin + length) if begin <= len(send) else (0, 0)
