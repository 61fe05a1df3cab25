"""Start-up costs: the seconds until a service is ready in CI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

_GUESSES: Final[Mapping[str, float]] = {
    "bigtable": 5,
    "cassandra": 40,
    "clickhouse": 10,
    "consul": 3,
    "elasticsearch": 30,
    "etcd": 3,
    "gelf": 10,
    "kafka": 20,
    "ldap": 5,
    "localstack": 15,
    "memcached": 2,
    "mongodb": 5,
    "mqtt": 3,
    "mssql": 30,
    "mysql": 15,
    "nats": 2,
    "neo4j": 20,
    "objectstore": 5,
    "opentelemetry": 3,
    "oracle": 60,
    "postgres": 5,
    "pulsar": 30,
    "rabbitmq": 10,
    "redis": 2,
    "redis-cluster": 5,
    "smtp": 3,
    "snuba": 60,
    "statsd": 2,
    "symbolicator": 5,
    "vault": 3,
    "zeromq": 0,
    "zookeeper": 10,
}
"""Rough values: containers on a CI machine with a few cores, from `up` to a passed health check, images pulled."""
_NEVER_STARTED: Final = frozenset({"dbus", "dns", "docker", "https", "s3"})
"""Services that are there already, or are elsewhere."""
_OTHERS_S: Final = 10.0
"""A guess for services without one."""


class StartUpCosts(NamedTuple):
    """Seconds by service, and which of them are guesses."""

    seconds: Mapping[str, float]
    guessed: tuple[str, ...]


def start_up_costs(services: Iterable[str], known: Mapping[str, float]) -> StartUpCosts:
    """The start-up cost of each service.

    Args:
        services: the services' names; `(unknown)` and other names that no rule may have cost nothing.
        known: the costs that were measured.
    """
    seconds: dict[str, float] = {}
    guessed: list[str] = []
    for service in services:
        if service in known:
            seconds[service] = known[service]
        elif service in _NEVER_STARTED or service.startswith("("):
            seconds[service] = 0.0
        else:
            seconds[service] = _GUESSES.get(service, _OTHERS_S)
            guessed.append(service)
    return StartUpCosts(seconds, tuple(guessed))
