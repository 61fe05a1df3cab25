"""The host to which a client speaks, from the first bytes that it sends: HTTP/1, HTTP/2 or TLS."""

from __future__ import annotations

import re
from typing import Final

from tracer.record.names.name import host_name

_REQUEST: Final = re.compile(rb"([!#-'*+.^-`|~0-9A-Za-z-]{1,32}) ([^\x00-\x20]+) HTTP/1\.[01]\r?\n")
"""Method, target and version. Source: RFC 9112, 3; the characters of a method: RFC 9110, 5.6.2."""
_ABSOLUTE: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")
"""A target with a scheme, which clients send to a proxy. Source: RFC 9112, 3.2.2."""
_HOST: Final = re.compile(rb"(?:[^\r\n][^\n]*\n)*?host:([^\r\n]*)\r?\n(?![ \t])", re.IGNORECASE)
"""The field Host, before the empty line that ends a head, and not continued on another line. Source: RFC 9112, 5."""

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME: Final = 9  # bytes before a frame's payload. Source: RFC 9113, 4.1
_HEADERS: Final = 1
_BEFORE_HEADERS: Final = frozenset((2, 4, 6, 8, 16))
"""Frames that a client sends before its first request: PRIORITY, SETTINGS, PING, WINDOW_UPDATE (RFC 9113, 6) and
PRIORITY_UPDATE (RFC 9218, 7.1)."""
_END_HEADERS: Final = 0x4
_PADDED: Final = 0x8
_PRIORITY: Final = 0x20
_LARGEST_TABLE: Final = 1 << 24
"""A server may permit any size of HPACK's table; entries come from the bytes at hand."""

_HANDSHAKE: Final = b"\x16\x03"  # a record of TLS, with the first byte of its version
_CLIENT_HELLO: Final = b"\x01"


def host_in(data: bytes) -> str:
    """The name of the host in the beginning of a send; empty: it contains none.

    HTTP/2 is recognised without its preface. Many clients send the preface alone, and such a short send is not
    recorded. The first HEADERS frame of a send is decoded alone: if it refers to fields of an earlier send, that fails.

    Args:
        data: the beginning of one of the first sends of a TCP socket, cut at any byte. If a part of the name is
            missing, there is none.
    """
    if data.startswith(_HANDSHAKE):
        return _server_name(_handshake(data))
    if data.startswith(_PREFACE):
        return _authority(data[len(_PREFACE) :])
    if data.startswith(b"\0"):  # a frame of HTTP/2 has less than 64 KiB
        return _authority(data)
    return _requested_host(data)


def _requested_host(data: bytes) -> str:
    """The host of a request of HTTP/1. A target that names one counts more than the field Host (RFC 9112, 3.2.2)."""
    request = _REQUEST.match(data)
    if not request:
        return ""
    method, target = request.groups()
    if method == b"CONNECT":
        return _name(target)
    if absolute := _ABSOLUTE.match(target):
        return _name(absolute[1])
    host = _HOST.match(data, request.end())
    return _name(host[1].strip(b" \t")) if host else ""


def _name(authority: bytes) -> str:
    """The name in `[user@]host[:port]`. Source: RFC 3986, 3.2."""
    host, _, port = authority.rpartition(b"@")[2].partition(b":")
    return "" if port and not port.isdigit() else host_name(host.decode("latin-1"))


def _authority(frames: bytes) -> str:
    """The host in the first HEADERS frame of HTTP/2, if all of it is there."""
    at = 0
    while at + _FRAME <= len(frames):
        payload = at + _FRAME
        end = payload + int.from_bytes(frames[at : at + 3], "big")
        kind, flags = frames[at + 3], frames[at + 4]
        if kind == _HEADERS and flags & _END_HEADERS and end <= len(frames):
            return _authority_in(_field_block(flags, frames[payload:end]))
        if kind not in _BEFORE_HEADERS:
            break
        at = end
    return ""


def _field_block(flags: int, payload: bytes) -> bytes:
    """The fields in the payload of a HEADERS frame. Source: RFC 9113, 6.2."""
    begin, end = 0, len(payload)
    if flags & _PADDED and payload:
        begin, end = 1, end - payload[0]
    if flags & _PRIORITY:
        begin += 5
    return payload[begin : max(end, 0)]


def _authority_in(block: bytes) -> str:
    """The host of a request of HTTP/2. Source: RFC 9113, 8.3.1."""
    from hpack import Decoder, HPACKError  # few runs need it

    decoder = Decoder()
    decoder.max_allowed_table_size = _LARGEST_TABLE
    try:
        fields = {bytes(name): bytes(value) for name, value in decoder.decode(block, raw=True)}
    except HPACKError:
        return ""
    if b":method" not in fields:
        return ""
    return _name(fields.get(b":authority") or fields.get(b"host", b""))


def _handshake(data: bytes) -> bytes:
    """The content of the handshake's records, as far as it is there: a ClientHello may be spread over several.

    Source: RFC 8446, 5.1. Type, version (2), length (2).
    """
    parts, at = [], 0
    while data.startswith(_HANDSHAKE, at):
        begin = at + 5
        at = begin + int.from_bytes(data[at + 3 : begin], "big")
        parts.append(data[begin:at])
    return b"".join(parts)


def _server_name(hello: bytes) -> str:
    """The server's name in a ClientHello. With Encrypted ClientHello, it is that of the provider.

    If bytes are missing, all later positions lie behind the end, where slices are empty.

    Source: RFC 8446, 4 and 4.1.2. Type, length (3), version (2), random (32); session id, cipher suites, compression
    methods, each with its length (1, 2, 1); length of the extensions (2); extensions: type (2), length (2).
    """
    if not hello.startswith(_CLIENT_HELLO):
        return ""
    at = 38
    for size in (1, 2, 1):
        at += size + int.from_bytes(hello[at : at + size], "big")
    begin = at + 2
    end = begin + int.from_bytes(hello[at:begin], "big")
    while begin < min(end, len(hello)):
        extension, begin = begin, begin + 4 + int.from_bytes(hello[begin + 2 : begin + 4], "big")
        if hello.startswith(b"\0\0", extension):
            return _first_server_name(hello[extension + 4 : begin])
    return ""


def _first_server_name(names: bytes) -> str:
    """The name in the content of the extension `server_name`.

    Source: RFC 6066, 3. Length of the list (2); type (1; 0: a host), length (2), name.
    """
    length = int.from_bytes(names[3:5], "big")
    name = names[5 : 5 + length]
    return host_name(name.decode("latin-1")) if names[2:3] == b"\0" and len(name) == length else ""
