"""HTTP/1, HTTP/2, and the encrypted transports TLS and QUIC."""

from __future__ import annotations

from typing import Final

from tracer.classify.services.protocols.pattern import pattern

METHODS: Final = rb"(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|TRACE|PATCH|PROPFIND|PROPPATCH|MKCOL|COPY|MOVE|LOCK|UNLOCK)"
"""Those whose targets have paths. Source: RFC 9110, 9; RFC 5789 (PATCH); RFC 4918 (WebDAV)."""

# A request line with a target in origin, absolute, asterisk or authority form. Source: RFC 9112, 3.
http: Final = pattern(
    METHODS + rb" (?:/|https?://)|OPTIONS \* HTTP/|CONNECT (?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}(?: |\Z)"
    rb"|CONNECT [\w.\[\]:-]+\Z(?<=.{32})"
)

# The connection preface; gRPC speaks it. Source: RFC 9113, 3.4.
http2: Final = pattern(rb"PRI \* HTTP/2\.0\r\n")


def tls(send: bytes) -> bool:
    """A handshake record with a ClientHello, TLS 1.0 to 1.3.

    Source: RFC 8446, 4 and 5.1. Type 22, version 3.x, length (2); message 1, length (3), version 3.x.
    """
    return (
        send[:2] == b"\x16\x03"
        and send[5:6] == b"\x01"
        and send[9:10] == b"\x03"
        and int.from_bytes(send[6:9], "big") >= 41  # version, random, and the shortest lists of choices
    )


def quic(send: bytes) -> bool:
    """An Initial packet of QUIC version 1 or 2: a datagram of a client that opens a connection.

    Source: RFC 9000, 7.2, 17.2 and 17.2.2; RFC 9369, 3. Long header, fixed bit, type (0 in version 1, 1 in version 2)
    and 4 protected bits; version (4); the destination's id with its length (8 to 20 bytes, chosen by the client); the
    source's id with its length (0 to 20 bytes); a token and the rest, each with its length. The rest has at least
    20 bytes: the packet's number, and what protects the header.
    """
    if len(send) < 16 or (send[0] & 0xF0, send[1:5]) not in ((0xC0, b"\0\0\0\x01"), (0xD0, b"\x6b\x33\x43\xcf")):
        return False
    source = 6 + send[5]
    if not 8 <= send[5] <= 20 or (source < len(send) and send[source] > 20):
        return False
    token, begin = _varint(send, source + 1 + send[source] if source < len(send) else source)
    rest, end = _varint(send, begin + token)
    return end > len(send) or rest >= 20


def _varint(send: bytes, start: int) -> tuple[int, int]:
    """A number of QUIC, and where it ends: behind the send if it is not in it. Source: RFC 9000, 16."""
    end = start + (1 << (send[start] >> 6)) if start < len(send) else start + 1
    length = end - start
    return int.from_bytes(send[start:end], "big") & (1 << 8 * length - 2) - 1, end
