"""The names and addresses in what a thread read from a name server, or from systemd's local resolver."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec

from tracer.record.names.name import host_name
from tracer.trace.endpoint import canonical_host

_Pair = tuple[str, str]

_HEADER: Final = struct.Struct(">HHHHHH")  # id, flags, questions, answers, … Source: RFC 1035, 4.1.1
_RECORD: Final = struct.Struct(">HHIH")  # behind its name: type, class, TTL, length. Source: RFC 1035, 4.1.3
_QUESTION: Final = 4  # bytes behind its name: type, class. Source: RFC 1035, 4.1.2
_SUCCESS: Final = 0x8000
"""Among the flags of `_SUCCESS_MASK`: a response to a query, without an error."""
_SUCCESS_MASK: Final = 0xF80F  # QR, opcode, rcode
_ADDRESSES: Final = {(1, 1, 4), (28, 1, 16)}  # type (A, AAAA), class (IN), length


class _Address(msgspec.Struct, frozen=True):
    """An address in a reply of the resolver."""

    address: tuple[Annotated[int, msgspec.Meta(ge=0, le=255)], ...]  # bytes in network byte order


class _Parameters(msgspec.Struct, frozen=True):
    """What a reply to io.systemd.Resolve.ResolveHostname contains; other replies lack one or the other."""

    addresses: tuple[_Address, ...] = ()
    name: str = ""


class _Reply(msgspec.Struct, frozen=True):
    """A reply of varlink. Source: https://varlink.org/Method-Call."""

    parameters: _Parameters


_REPLY: Final = msgspec.json.Decoder(_Reply)


def names_in(data: bytes) -> tuple[_Pair, ...]:
    """The (name, address) pairs in the beginning of a read; an address has the canonical text form.

    The name is the one that was asked for, also where the answer says that it is an alias (CNAME). The local resolver
    of systemd does not repeat it: its reply has the name at the end of the aliases.

    Args:
        data: a DNS message, with or without the length that TCP has before it; several with their lengths; or replies
            in varlink's JSON, each with its NUL. If the end is missing, the result is what comes before.
    """
    if _is_success(data, 0):
        pairs = _pairs(data)
    elif _is_success(data, 2):
        pairs = (pair for message in _messages(data) for pair in _pairs(message))
    elif data.startswith(b"{"):
        pairs = (pair for reply in data.split(b"\0")[:-1] for pair in _resolved(reply))
    else:
        return ()
    return tuple(dict.fromkeys(pairs))


def _is_success(data: bytes, begin: int) -> bool:
    """Whether a DNS message that answers one question, and is no error, begins there.

    Two bytes further, it is false: the number of questions is where the flags would be. JSON is ASCII, without QR.
    """
    if len(data) < begin + _HEADER.size:
        return False
    _, flags, questions, *_ = _HEADER.unpack_from(data, begin)
    return bool(flags & _SUCCESS_MASK == _SUCCESS and questions == 1)


def _messages(data: bytes) -> Iterator[bytes]:
    """The messages in a read of TCP, each of which has its length before it. Source: RFC 1035, 4.2.2."""
    at = 0
    while _is_success(data, at + 2):
        begin = at + 2
        at = begin + int.from_bytes(data[at:begin], "big")
        yield data[begin:at]


def _pairs(message: bytes) -> Iterator[_Pair]:
    """The pairs in the answer section of a DNS message.

    dnspython reads the names only: reading whole messages takes four times as long, and their fields have fixed places.
    """
    import dns.exception  # few runs need it, and it is slow to import
    import dns.name

    try:
        asked, size = dns.name.from_wire(message, _HEADER.size)
        name = host_name(asked.to_text())
        at = _HEADER.size + size + _QUESTION
        for _ in range(_HEADER.unpack_from(message)[3] if name else 0):
            at += dns.name.from_wire(message, at)[1] + _RECORD.size
            kind, network, _, length = _RECORD.unpack_from(message, at - _RECORD.size)
            address, at = message[at : at + length], at + length
            if (kind, network, length) in _ADDRESSES and len(address) == length:
                yield name, canonical_host(address)
    except (dns.exception.DNSException, struct.error):  # the end is missing, or it is something else
        return


def _resolved(reply: bytes) -> Iterator[_Pair]:
    """The pairs in a reply of systemd-resolved to ResolveHostname."""
    try:
        parameters = _REPLY.decode(reply).parameters
    except (msgspec.DecodeError, ValueError, RecursionError):  # ValueError: not UTF-8
        return
    name = host_name(parameters.name)
    for address in parameters.addresses if name else ():
        if len(address.address) in (4, 16):
            yield name, canonical_host(bytes(address.address))
