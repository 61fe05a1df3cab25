"""Attempts to connect at several addresses of one name: `localhost` is ::1 and 127.0.0.1.

A client tries the addresses of a host name one after the other, until one answers. Its name may be unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

from tracer.trace.endpoint import Endpoint
from tracer.trace.ids import NetworkNamespace, ProcessId, SocketInode, SpanId, Tid
from tracer.trace.records import Flow

LOCALHOST: Final = ("127.0.0.1", "::1")
"""The addresses of `localhost` (RFC 6761, 6.3)."""


FlowKey = tuple[ProcessId, Tid, SocketInode, Endpoint, tuple[SpanId, ...]]
"""Flows with the same process, tid, socket, endpoint and spans are parts of one flow."""

_LOCALHOST_NAME: Final = "localhost"

_Test = tuple[SpanId, ...]
_Server = tuple[ProcessId, NetworkNamespace, int, _Test, str]  # client process, network, port, client's test, name
_NameOf = Callable[[Flow], str | None]


def answered_elsewhere(
    flows: Iterable[Flow], test_of: Callable[[SpanId], SpanId], name_of: _NameOf
) -> dict[FlowKey, Flow]:
    """Failed attempt → the connection that the client then made at another address of the same name.

    Two rules show that two addresses belong to one name. Both require TCP, one port and one network namespace.

    * The name is known, and one process tried both addresses within one test. 127.0.0.1 and ::1 are `localhost`.
      Threads do not matter, because gRPC and Go connect in several.
    * At least one name is unknown, one address is IPv4 and the other is IPv6, both are no addresses of `localhost`, one
      thread tried them within one span, and it used no socket in between except for further failed attempts at that
      port. To look up another name, it would have used one.

    Args:
        flows: in the order of time, each key once.
        test_of: the test around a span; 0: none.
        name_of: the name of a flow's host when the flow began, not by the bytes on its socket; None: unknown.
    """
    flows = list(flows)
    failed = [flow for flow in flows if _is_failed(flow)]
    if not failed:
        return {}
    ports = {flow.endpoint.port for flow in failed}
    threads = {(flow.process, flow.tid) for flow in failed if flow.endpoint.host not in LOCALHOST}
    in_a_row = _answers_in_a_row((flow for flow in flows if (flow.process, flow.tid) in threads), name_of)
    return in_a_row | _answers_of_names((flow for flow in flows if flow.endpoint.port in ports), test_of, name_of)


def _answers_of_names(
    flows: Iterable[Flow], test_of: Callable[[SpanId], SpanId], name_of: _NameOf
) -> dict[FlowKey, Flow]:
    """Failed attempt at one address of a known name → the next connection, if it is at another one."""
    tests: Callable[[tuple[SpanId, ...]], _Test] = cache(lambda spans: tuple(sorted({*map(test_of, spans)})))
    answers: dict[FlowKey, Flow] = {}
    connections: dict[_Server, Flow] = {}  # the next connection, as the flows come from last to first
    for flow in reversed(list(flows)):
        is_connection = _is_connection(flow)
        if not is_connection and not _is_failed(flow):
            continue
        name = _LOCALHOST_NAME if flow.endpoint.host in LOCALHOST else name_of(flow)
        if name is None:
            continue
        server = flow.process, flow.network, flow.endpoint.port, tests(flow.spans), name
        if is_connection:
            connections[server] = flow
        elif (answer := connections.get(server)) is not None and answer.endpoint != flow.endpoint:
            answers[key_of(flow)] = answer
    return answers


def _answers_in_a_row(flows: Iterable[Flow], name_of: _NameOf) -> dict[FlowKey, Flow]:
    """Failed attempt → the connection of the other IP version that ends its row of attempts."""
    answers: dict[FlowKey, Flow] = {}
    following: dict[tuple[ProcessId, Tid], tuple[Flow, Flow | None]] = {}  # thread → next flow, the row's connection
    for flow in reversed(list(flows)):
        thread = flow.process, flow.tid
        is_named = flow.endpoint.host not in LOCALHOST
        end = flow if is_named and _is_connection(flow) else None
        if is_named and _is_failed(flow) and thread in following:
            after, connection = following[thread]
            if connection is not None and _at_port(after) == _at_port(flow):
                end = connection
                is_other_version = (":" in flow.endpoint.host) != (":" in end.endpoint.host)
                if is_other_version and None in (name_of(flow), name_of(end)):
                    answers[key_of(flow)] = end
        following[thread] = flow, end
    return answers


def key_of(flow: Flow) -> FlowKey:
    """The key of a flow."""
    return flow.process, flow.tid, flow.socket, flow.endpoint, flow.spans


def _at_port(flow: Flow) -> tuple[object, ...]:
    return flow.endpoint.protocol, flow.endpoint.port, flow.network, flow.spans


def _is_failed(flow: Flow) -> bool:
    """Whether a flow has attempts to connect by TCP, and all of them failed. One without a result has not failed."""
    if not flow.connects or flow.established or flow.sends:
        return False
    return bool(flow.errors) and flow.endpoint.protocol == "tcp"


def _is_connection(flow: Flow) -> bool:
    return flow.connects > 0 and (flow.established > 0 or flow.sends > 0) and flow.endpoint.protocol == "tcp"
