"""Services that names hint at: of fixtures, markers, classes, directories, images, programs and modules."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from itertools import chain, pairwise
from typing import Final

_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "postgres": ("postgres", "postgresql", "pg", "psql", "postgis", "timescaledb", "pgvector"),
    "mysql": ("mysql", "mariadb"),
    "mssql": ("mssql", "sqlserver"),
    "kafka": ("kafka", "redpanda"),
    "zookeeper": ("zookeeper",),
    "rabbitmq": ("rabbitmq", "rabbit", "amqp"),
    "nats": ("nats",),
    "mqtt": ("mqtt", "mosquitto"),
    "pulsar": ("pulsar",),
    "redis": ("redis", "redisdb", "valkey", "keydb"),
    "memcached": ("memcached", "memcache"),
    "mongodb": ("mongodb", "mongo"),
    "elasticsearch": ("elasticsearch", "opensearch"),
    "cassandra": ("cassandra", "scylla", "scylladb"),
    "clickhouse": ("clickhouse",),
    "neo4j": ("neo4j",),
    "bigtable": ("bigtable",),
    "objectstore": ("objectstore",),
    "snuba": ("snuba",),
    "symbolicator": ("symbolicator",),
    "etcd": ("etcd",),
    "consul": ("consul",),
    "vault": ("vault",),
    "localstack": ("localstack",),
    "ldap": ("ldap", "openldap"),
}
"""Service of the preset `default` → the words that stand for it."""
_SERVICES: Final = {word: service for service, words in _WORDS.items() for word in words}
RELATIONAL: Final = ("postgres", "mysql", "mssql", "oracle")
"""What `db` and `database` may stand for."""
_ANY_DATABASE: Final = frozenset({"db", "database"})
_STAND_INS: Final = frozenset(
    {"mock", "mocked", "mocker", "fake", "faked", "stub", "dummy", "patch", "patched", "no", "not", "without", "skip"}
)
"""A name with one of these does not stand for a service that runs."""
_TOOLS: Final = frozenset({"admin", "commander", "connect", "exporter", "express", "manager", "registry", "rest", "ui"})
"""An image with one of these words is a tool for a service."""
_ATTRIBUTES: Final = frozenset(
    {"config", "credentials", "dsn", "env", "host", "image", "key", "name", "number", "options", "params", "password"}
    | {"port", "prefix", "settings", "timeout", "topic", "uri", "url", "user", "version"}
)
"""What a fixture with this last word returns needs no connection."""
_DEMANDS: Final = frozenset({"require", "requires", "need", "needs"})
_SUFFIXES: Final = frozenset({"client", "container", "server", "service"})
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")

PROGRAMS: Final[Mapping[str, str]] = {
    "postgres": "postgres",
    "mysqld": "mysql",
    "mariadbd": "mysql",
    "sqlservr": "mssql",
    "nats-server": "nats",
    "mosquitto": "mqtt",
    "redis-server": "redis",
    "valkey-server": "redis",
    "memcached": "memcached",
    "mongod": "mongodb",
    "clickhouse-server": "clickhouse",
    "etcd": "etcd",
    "consul": "consul",
    "vault": "vault",
    "slapd": "ldap",
}
"""Server's program → service."""
CLIENTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("asyncpg", "pg8000", "psycopg", "psycopg2", "psycopg2cffi"), "postgres"),
    **dict.fromkeys(("MySQLdb", "aiomysql", "asyncmy", "mariadb", "pymysql"), "mysql"),
    **dict.fromkeys(("pymssql",), "mssql"),
    **dict.fromkeys(("aiokafka", "confluent_kafka", "kafka"), "kafka"),
    **dict.fromkeys(("aio_pika", "pika"), "rabbitmq"),
    **dict.fromkeys(("coredis", "redis", "valkey"), "redis"),
    **dict.fromkeys(("bmemcached", "pylibmc", "pymemcache"), "memcached"),
    **dict.fromkeys(("motor", "pymongo"), "mongodb"),
    **dict.fromkeys(("elasticsearch", "opensearchpy"), "elasticsearch"),
    **dict.fromkeys(("cassandra",), "cassandra"),
    **dict.fromkeys(("clickhouse_connect", "clickhouse_driver"), "clickhouse"),
    "kazoo": "zookeeper",
    "nats": "nats",
    "neo4j": "neo4j",
    "pulsar": "pulsar",
}
"""Module of a client library → service."""


def words_of(name: str) -> list[str]:
    """The words of a name in lower case: `requires_kafka`, `RedisCacheTest`, `confluentinc/cp-kafka`."""
    return [word.lower() for word in _WORD.findall(name)]


def named_service(name: str, databases: Collection[str] = ()) -> str | None:
    """The service for which a name of a suite stands, as far as its words show; None: for none.

    `databases`: the relational ones that the suite may use. If it is one, `db` stands for it.
    """
    words = words_of(name)
    if _STAND_INS & {*words}:
        return None
    found = _service_in(words)
    if found is None and len(databases) == 1 and _ANY_DATABASE & {*words}:
        return next(iter(databases))
    return found


def is_attribute(fixture: str) -> bool:
    """Whether a fixture returns something about a service, such as its address: `redis_url`."""
    return bool(_ATTRIBUTES & {*words_of(fixture)[-1:]})


def image_service(image: str) -> str | None:
    """The service that a container's image provides; None: unknown."""
    words = words_of(image.partition("@")[0].rpartition("/")[2].partition(":")[0])
    return None if _TOOLS & {*words} else _service_in(words)


def engine_service(engine: str) -> str | None:
    """The service of a database engine of Django; None: none, as for SQLite, or unknown."""
    return _service_in(words_of(engine))


def demanded(name: str) -> str | None:
    """What a name demands in so many words: `requires_billing_api` is for `billing-api`. None: nothing."""
    first, *others = words_of(name) or [""]
    return "-".join(others) if first in _DEMANDS and others and not _STAND_INS & {*others} else None


def own_name(name: str) -> str:
    """The name that a service would have for which this is a fixture or marker: `search` for `search_server`."""
    words = words_of(name)
    return "-".join(words[:-1] if len(words) > 1 and words[-1] in _SUFFIXES else words)


def _service_in(words: list[str]) -> str | None:
    if "redis" in words and "cluster" in words:
        return "redis-cluster"
    pairs = map("".join, pairwise(words))  # `ClickHouse` has two words
    known = (_SERVICES.get(word.rstrip("0123456789")) or _SERVICES.get(word) for word in chain(words, pairs))
    return next(filter(None, known), None)
