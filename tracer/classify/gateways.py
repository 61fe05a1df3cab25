"""Connections to a gateway: their HTTP requests may be for several services. Rules with `paths` distinguish them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from msgspec.structs import replace

from tracer.classify.services.identify import Identification
from tracer.classify.services.paths import RequestPath, path_in
from tracer.trace.records import Flow

ServiceOf = Callable[[tuple[RequestPath, ...]], Identification]
"""The service by the paths of requests, of which the first that decides counts."""


def split(flow: Flow, earliest: RequestPath | None, service_of: ServiceOf) -> Iterator[tuple[Flow, Identification]]:
    """The parts of a flow by the services of its requests.

    The part of the first request has all that is no known request for another service: the attempts to connect, all
    bytes, and the other sends. A flow without a known request is for the service of the first request on its socket.

    Args:
        flow: any flow.
        earliest: the path of the first known request on its socket; None: there is none.
        service_of: the services of the flow's connection.
    """

    def service_at(beginning: str) -> Identification | None:
        path = path_in(bytes.fromhex(beginning))
        if path is None:
            return None
        is_alike = earliest is not None and path.is_cut and earliest.text.startswith(path.text)
        return service_of((path, earliest) if earliest is not None and is_alike else (path,))

    prefixes = [(prefix, service_at(prefix)) for prefix in flow.prefixes]
    heads = [(head, service_at(head)) for head in sorted(flow.heads, key=lambda head: (-flow.heads[head], head))]
    services = list(dict.fromkeys(service for _, service in (*prefixes, *heads) if service is not None))
    if len(services) < 2:
        yield flow, services[0] if services else service_of(() if earliest is None else (earliest,))
        return

    first, *others = services
    whole = _part(flow, prefixes, heads, (first, None))
    left, moved = flow.sends - _known(whole), []
    for service in others:
        part = _part(flow, prefixes, heads, (service,))
        number = max(0, min(left, _known(part)))  # the beginnings of failed sends are known, too
        left -= number
        moved.append((replace(part, sends=number, bytes=0, connects=0, established=0, errors={}), service))
    yield replace(whole, sends=flow.sends - sum(part.sends for part, _ in moved)), first
    yield from moved


def _part(
    flow: Flow,
    prefixes: Iterable[tuple[str, Identification | None]],
    heads: Iterable[tuple[str, Identification | None]],
    services: Collection[Identification | None],
) -> Flow:
    """The flow with the beginnings of sends for these services only."""
    return replace(
        flow,
        prefixes=tuple(prefix for prefix, service in prefixes if service in services),
        heads={head: flow.heads[head] for head, service in heads if service in services},
    )


def _known(flow: Flow) -> int:
    """The number of sends whose beginnings are known."""
    return sum(count for _, count in flow.beginnings())
