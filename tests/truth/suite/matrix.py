"""Tests of clients that send from threads or processes of their own. A module `test_it.py` imports all of this module.

That module also has CLIENTS: for each client, a function that makes it.
"""

from __future__ import annotations

import time
from typing import Callable, Dict, Iterator, Protocol

import pytest
from settled import settle


class Client(Protocol):
    """A client that sends from threads or processes of its own."""

    def use(self) -> None:
        """Send a request and wait for its answer."""

    def close(self) -> None:
        """Close the connection."""


Make = Callable[[], Client]

shared: Dict[Make, Client] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that has a parameter `make` or `client` with each client."""
    clients = metafunc.module.CLIENTS
    for parameter in {"make", "client"}.intersection(metafunc.fixturenames):
        metafunc.parametrize(parameter, clients.values(), ids=clients, indirect=parameter == "client")


def test_own(make: Make) -> None:
    client = make()
    client.use()
    client.close()
    settle()  # some clients' threads say goodbye later


def test_first_use(make: Make) -> None:
    shared[make] = make()
    shared[make].use()


def test_sleeps() -> None:
    settle()
    time.sleep(0.3)


def test_second_use(make: Make) -> None:
    settle()
    shared[make].use()


def test_computes() -> None:
    settle()
    until_s = time.monotonic() + 0.3
    while time.monotonic() < until_s:
        pass


def test_closes(make: Make) -> None:
    shared.pop(make).close()
    settle()


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client for several tests."""
    client: Client = request.param()
    client.use()
    yield client
    client.close()
    settle()


def test_fixture_used(client: Client) -> None:
    settle()
    client.use()


def test_fixture_unused(client: Client) -> None:
    pass


def test_without() -> None:
    pass
