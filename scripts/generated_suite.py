"""Generates the benchmark's large suite and serves its peers.

Each module has a hundred tests, with classes, parameters and fixtures of every scope. Most tests use one, two or all of
three peers.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

TESTS_IN_MODULE: Final = 100
_DIRECTORIES: Final = 20
_PEERS: Final = 3

_CONFTEST: Final = """
import os
import socket

import pytest

PORTS = dict(zip(("store", "cache", "search"), map(int, os.environ["BENCH_PORTS"].split())))

def connect(peer):
    return socket.create_connection(("127.0.0.1", PORTS[peer]))

def ask(connection, text):
    connection.sendall(text)
    return connection.recv(64)

@pytest.fixture(scope="session")
def pool():
    with connect("store") as connection:
        ask(connection, b"begin")
        yield connection

@pytest.fixture(scope="session", autouse=True)
def migrated(pool):
    ask(pool, b"migrate")

@pytest.fixture(scope="module")
def index():
    with connect("search") as connection:
        ask(connection, b"create")
        yield connection
        ask(connection, b"drop")

@pytest.fixture
def cache():
    with connect("cache") as connection:
        yield connection

@pytest.fixture(autouse=True)
def clean(pool):
    yield
    ask(pool, b"rollback")
"""

_MODULE: Final = """
import pytest
from conftest import ask

@pytest.fixture(scope="module")
def account(pool):
    return ask(pool, b"insert")

class TestOrdersPermissions:
    @pytest.fixture(autouse=True)
    def owner(self, account):
        return account

    @pytest.mark.parametrize("role", ["anonymous", "member", "manager", "owner"])
    @pytest.mark.parametrize("method", ["get", "put", "post", "patch", "delete"])
    def test_each_role_may_do_what_it_should(self, role, method, pool):
        ask(pool, b"select")

class TestOrdersEndpoint:
    @pytest.mark.parametrize("page", range(30))
    def test_answers_in_pages_of_a_hundred(self, page, pool, cache):
        ask(pool, b"select")
        ask(cache, b"get")

@pytest.mark.parametrize("customer", range(30))
def test_history_of_a_customer_is_complete_and_sorted(customer, pool, cache, index):
    ask(pool, b"select")
    ask(cache, b"get")
    ask(index, b"search")

@pytest.mark.parametrize("country", range(20))
def test_totals_are_rounded_as_the_law_asks_for(country):
    pass
"""


def write_suite(directory: Path, tests: int) -> None:
    """Write a suite of about `tests` tests into an empty directory."""
    (directory / "conftest.py").write_text(_CONFTEST)
    for module in range(tests // TESTS_IN_MODULE):
        component = directory / "tests" / f"component_{module % _DIRECTORIES:02}"
        component.mkdir(parents=True, exist_ok=True)
        (component / f"test_orders_of_region_{module:03}.py").write_text(_MODULE)


@contextmanager
def peers() -> Iterator[str]:
    """Serve three peers that echo. Yields their ports, as the suite expects them in BENCH_PORTS."""
    with selectors.DefaultSelector() as selector:
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(_PEERS)]
        stop, stopped = socket.socketpair()
        for listener in (*listeners, stopped):
            selector.register(listener, selectors.EVENT_READ)
        echo = threading.Thread(target=_echo, args=(selector, listeners, stopped))
        echo.start()
        try:
            yield " ".join(str(listener.getsockname()[1]) for listener in listeners)
        finally:
            stop.close()
            echo.join()
            for opened in [key.fileobj for key in selector.get_map().values()]:
                assert isinstance(opened, socket.socket)
                opened.close()


def _echo(selector: selectors.BaseSelector, listeners: list[socket.socket], stopped: socket.socket) -> None:
    while True:
        for key, _ in selector.select():
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            if ready is stopped:
                return
            if ready in listeners:
                selector.register(ready.accept()[0], selectors.EVENT_READ)
            elif data := ready.recv(4096):
                ready.sendall(data)
            else:
                with closing(ready):
                    selector.unregister(ready)
