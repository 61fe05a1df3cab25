"""The protocol of a connection, by the first bytes that its client sent.

A matcher gets the first 32 bytes of one send, or fewer: if a send has several buffers, a backend may emit only the
first. It must not match another protocol: a wrong name is worse than no name. So a protocol without specific first
bytes has no matcher.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from tracer.classify.services.protocols import caches, databases, infrastructure, messaging, web

MATCHERS: Final[Mapping[str, Callable[[bytes], bool]]] = {
    "amqp": messaging.amqp,
    "bolt": databases.bolt,
    "cassandra": databases.cassandra,
    "clickhouse": databases.clickhouse,
    "gelf": infrastructure.gelf,
    "http": web.http,
    "http2": web.http2,
    "kafka": messaging.kafka,
    "ldap": infrastructure.ldap,
    "memcached": caches.memcached,
    "mongodb": databases.mongodb,
    "mqtt": messaging.mqtt,
    "mysql": databases.mysql,
    "nats": messaging.nats,
    "postgres": databases.postgres,
    "pulsar": messaging.pulsar,
    "quic": web.quic,
    "redis": caches.redis,
    "smtp": infrastructure.smtp,
    "statsd": infrastructure.statsd,
    "tds": databases.tds,
    "tls": web.tls,
    "zmtp": messaging.zmtp,
    "zookeeper": infrastructure.zookeeper,
}


def recognise(sends: Iterable[bytes]) -> str | None:
    """The protocol of a connection, one of `MATCHERS`; None: its first sends identify none.

    The first send that matches decides. So an SSLRequest is `postgres` although a ClientHello follows, and a protocol
    is found after an unknown greeting, such as a proxy's.

    Args:
        sends: the first bytes of each of the socket's first sends, in order.
    """
    return next((name for send in sends if (name := _of_send(send)) is not None), None)


@lru_cache(maxsize=4096)  # a client opens most of its connections with the same bytes
def _of_send(send: bytes) -> str | None:
    return next((name for name, matches in MATCHERS.items() if matches(send)), None)
