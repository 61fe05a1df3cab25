"""Goodbyes: flows that only close a connection which their owner did not use otherwise.

A garbage-collected client of an earlier test, or a session fixture that closes a pool, sends a goodbye on each of its
connections. The test during which this happens does not use the service.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tracer.classify.owners import OwnedFlow
from tracer.classify.services.requests import TLS_ALERT_LENGTHS, is_goodbye, kind_of, tls_record_length
from tracer.trace.ids import SocketInode
from tracer.trace.records import Flow

_TLS_HEADER: Final = 5  # bytes


def mark_goodbyes(flows: Iterable[OwnedFlow]) -> list[OwnedFlow]:
    """One owner's flows, with `goodbye` set for those that close a socket on which the owner sent nothing else.

    Housekeeping of other threads, such as heartbeats, does not count. A socket that the owner connected has at least
    one flow with an attempt, which is no goodbye.
    """
    flows = list(flows)
    used: set[SocketInode] = set()
    for owned in flows:
        if not is_only_goodbyes(
            owned.named.flow, owned.named.service.likely_protocol, housekeeping=not owned.own_thread
        ):
            used.add(owned.named.flow.socket)
    return [
        owned._replace(goodbye=True) if owned.named.flow.socket not in used and _has_goodbye(owned) else owned
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
    sends = [(bytes.fromhex(head), count) for head, count in flow.beginnings()]
    if not sends or not all(
        is_goodbye(protocol, head) or (housekeeping and kind_of(protocol, head) == "housekeeping") for head, _ in sends
    ):
        return False
    unknown = flow.sends - sum(count for _, count in sends)
    if unknown == 0:
        return True
    lengths = [tls_record_length(head) for head, count in sends for _ in range(count)]
    known = sum(_TLS_HEADER + length for length in lengths if length is not None)
    # The close_notify after a goodbye: the first bytes of a runner's second send in a row are not recorded.
    return unknown == 1 and None not in lengths and flow.bytes - known - _TLS_HEADER in TLS_ALERT_LENGTHS


def _has_goodbye(owned: OwnedFlow) -> bool:
    protocol = owned.named.service.likely_protocol
    return any(is_goodbye(protocol, bytes.fromhex(head)) for head, _ in owned.named.flow.beginnings())
