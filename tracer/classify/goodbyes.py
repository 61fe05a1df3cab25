"""Goodbyes: flows that only close a connection which their owner did not use otherwise.

A garbage-collected client of an earlier test, or a session fixture that closes a pool, sends a goodbye on each of its
connections. The test during which this happens does not use the service.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from tracer.classify.owners import OwnedFlow
from tracer.classify.services.requests import TLS_ALERT_LENGTHS, is_goodbye, kind_of, tls_record_length
from tracer.trace.records import Flow

_TLS_HEADER: Final = 5  # bytes


def mark_goodbyes(flows: Iterable[OwnedFlow]) -> list[OwnedFlow]:
    """One owner's flows, with `goodbye` set for those that close a socket on which the owner sent nothing else.

    Housekeeping of other threads, such as heartbeats, does not count. A socket that the owner connected has at least
    one flow with an attempt, which is no goodbye.
    """
    flows = list(flows)
    others = [
        owned
        for owned in flows
        if not is_only_goodbyes(owned.flow, owned.service.likely_protocol, housekeeping=not owned.own_thread)
    ]
    if len(others) == len(flows):  # most often
        return flows
    used = {owned.flow.socket for owned in others}
    return [
        replace(owned, goodbye=True) if owned.flow.socket not in used and _has_goodbye(owned) else owned
        for owned in flows
    ]


def is_only_goodbyes(flow: Flow, protocol: str | None, *, housekeeping: bool = False) -> bool:
    """Whether all sends of a flow are goodbyes, and it made no attempt to connect.

    Args:
        flow: any flow.
        protocol: of its connection.
        housekeeping: whether housekeeping is allowed too.
    """
    if flow.connects or not flow.sends:
        return False
    for head, _ in flow.beginnings():
        if not (_is_goodbye(protocol, head) or (housekeeping and _is_housekeeping(protocol, head))):
            return False
    sends = [(bytes.fromhex(head), count) for head, count in flow.beginnings()]
    if not sends:
        return False
    unknown = flow.sends - sum(count for _, count in sends)
    if unknown == 0:
        return True
    lengths = [tls_record_length(head) for head, count in sends for _ in range(count)]
    known = sum(_TLS_HEADER + length for length in lengths if length is not None)
    # The close_notify after a goodbye: the first bytes of a runner's second send in a row are not recorded.
    return unknown == 1 and None not in lengths and flow.bytes - known - _TLS_HEADER in TLS_ALERT_LENGTHS


def _has_goodbye(owned: OwnedFlow) -> bool:
    protocol = owned.service.likely_protocol
    return any(_is_goodbye(protocol, head) for head, _ in owned.flow.beginnings())


@lru_cache(maxsize=1 << 14)  # a client's sends have few beginnings
def _is_goodbye(protocol: str | None, head: str) -> bool:
    return is_goodbye(protocol, bytes.fromhex(head))


@lru_cache(maxsize=1 << 14)
def _is_housekeeping(protocol: str | None, head: str) -> bool:
    return kind_of(protocol, bytes.fromhex(head)) == "housekeeping"
