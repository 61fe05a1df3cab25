"""Writes a large suite for scripts/ci-rehearsal: the example suite's project, with 3,000 tests of five services.

A test makes one request to each of its services, and then sleeps for the rest of its duration. Durations are
log-normal, as in real suites: half of them take less than 10 ms, and the slowest a second.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

IN_FILE: Final = 50
_MEDIAN_LOG_S: Final = -4.6
_DIRECTORIES: Final = 6

START_UP_S: Final = {"kafka": 6.0, "mqtt": 1.0, "postgres": 2.0, "redis": 0.5, "search": 8.0}
"""How much longer the services take to start than their servers do."""

_KINDS: Final = {
    (): 20,
    ("postgres",): 45,
    ("postgres", "redis"): 12,
    ("postgres", "kafka"): 8,
    ("postgres", "search"): 8,
    ("mqtt",): 7,
}
"""The services of a file → how many of 100 files."""

_FIXTURES: Final = {
    "postgres": "pool",
    "redis": "redis_client",
    "kafka": "producer",
    "search": "search",
    "mqtt": "broker",
}

_CONFTEST: Final = """
import os
import socket
import time

import pytest
from shop import cache, database, events, settings
from shop.search import SearchClient

MQTT_CONNECT = b"\\x10\\x10\\x00\\x04MQTT\\x04\\x02\\x00\\x3c\\x00\\x04shop"


@pytest.fixture(scope="session")
def pool():
    connection = database.connect()
    time.sleep(0.8)  # stands for the creation of a test database

    def query():
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM migrations")
            return cursor.fetchall()

    yield query
    connection.close()


@pytest.fixture(scope="session")
def producer():
    with events.make_producer() as producer:
        producer.list_topics(timeout=settings.KAFKA_TIMEOUT_S)
        yield lambda: events.send(producer, "audit", {"event": "login"})


@pytest.fixture(scope="module")
def redis_client():
    with cache.connect() as client:
        yield lambda: client.incr("visits")


@pytest.fixture(scope="module")
def search():
    client = SearchClient()
    client.index("tea", "Darjeeling first flush")
    time.sleep(0.05)  # stands for an index that is built
    yield lambda: client.find("first")
    client.close()


@pytest.fixture
def broker():
    host, port = os.environ["SHOP_MQTT"].split(":")

    def connect():
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(MQTT_CONNECT)
            assert connection.recv(4) == b"\\x20\\x02\\x00\\x00"

    return connect
"""

_MODULE: Final = """
import time

import pytest

SECONDS = {seconds}

{mark}
@pytest.mark.parametrize("number", range({using}))
def test_order(number{parameters}):
    {calls}
    time.sleep(SECONDS[number])


@pytest.mark.parametrize("number", range({using}, len(SECONDS)))
def test_price(number):
    time.sleep(SECONDS[number])
"""


def write_suite(shop: Path, directory: Path, tests: int) -> None:
    """Write a suite.

    Args:
        shop: the directory of the example suite.
        directory: where; it does not exist.
        tests: how many.
    """
    shutil.copytree(shop, directory, ignore=shutil.ignore_patterns("__pycache__", ".pytest*", "*.json", "tests"))
    (directory / "tests").mkdir()
    (directory / "tests" / "conftest.py").write_text(_CONFTEST)
    random = Random(20)
    kinds = _kinds(-(-tests // IN_FILE), random)
    for number, services in enumerate(kinds):
        component = directory / "tests" / f"component_{number % _DIRECTORIES}"
        component.mkdir(exist_ok=True)
        count = min(IN_FILE, tests - number * IN_FILE)
        (component / f"test_{number:03}.py").write_text(_module(services, count, random))


def _kinds(files: int, random: Random) -> Iterator[tuple[str, ...]]:
    """The services of each file, in exact shares."""
    shares = [kind for kind, share in _KINDS.items() for _ in range(share)]
    spread = [shares[number * len(shares) // files] for number in range(files)]
    random.shuffle(spread)
    yield from spread


def _module(services: tuple[str, ...], tests: int, random: Random) -> str:
    """A module most of whose tests use these services."""
    fixtures = [_FIXTURES[name] for name in services]
    return _MODULE.format(
        seconds=[min(1.0, round(random.lognormvariate(_MEDIAN_LOG_S, 1), 4)) for _ in range(tests)],
        mark="@pytest.mark.requires_kafka" if "kafka" in services else "",
        using=-(-tests * 4 // 5),
        parameters="".join(f", {name}" for name in fixtures),
        calls="; ".join(f"{name}()" for name in fixtures) or "pass",
    )
