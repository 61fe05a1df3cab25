"""Generates the benchmark's two large suites and serves their peers.

The quick suite: each module has a hundred tests, with classes, parameters and fixtures of every scope. Most tests use
one, two or all of three peers.

The database suite: its tests resemble those of a library for databases. Each of them has ten boundaries, and twelve
sends on three sockets, of which it opens two. Then it waits for some milliseconds.
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

_PEERS_OF_BOTH: Final = """
import os
import socket
import time

import pytest

PORTS = dict(zip(("store", "cache", "search"), map(int, os.environ["BENCH_PORTS"].split())))

def connect(peer):
    return socket.create_connection(("127.0.0.1", PORTS[peer]))

def ask(connection, text):
    connection.sendall(text)
    return connection.recv(64)
"""

_CONFTEST: Final = (
    _PEERS_OF_BOTH
    + """
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
)

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

_DATABASE_CONFTEST: Final = (
    _PEERS_OF_BOTH
    + """
@pytest.fixture(scope="session")
def pool():
    with connect("store") as connection:
        yield connection

@pytest.fixture
def transaction(pool):
    ask(pool, b"begin")
    yield
    ask(pool, b"rollback")

@pytest.fixture
def order(pool, transaction):
    ask(pool, b"insert into orders (customer, country, total) values (1, 2, 3)")

@pytest.fixture(scope="session")
def pause():
    return lambda: time.sleep(float(os.environ["BENCH_PAUSE_S"]))
"""
)

_DATABASE_MODULE: Final = """
import pytest
from conftest import ask, connect

@pytest.mark.parametrize("column", ["customer", "country", "total", "placed", "paid"])
class TestSelectOrders:
    @pytest.mark.parametrize("order_by", ["customer", "country", "total", "placed", "paid"])
    @pytest.mark.parametrize("limit", [None, 1, 10, 100])
    def test_columns_come_in_the_order_of_the_statement(self, pool, order, pause, column, order_by, limit):
        for _ in range(4):
            ask(pool, b"select %s from orders" % column.encode())
        with connect("cache") as cache:
            ask(cache, b"hello")
            ask(cache, b"get orders")
            ask(cache, b"set orders")
        with connect("search") as search:
            ask(search, b"hello")
            ask(search, b"search orders")
        pause()
"""


def write_quick_suite(directory: Path, tests: int) -> None:
    """Write a suite of about `tests` tests into an empty directory."""
    _write(directory, _CONFTEST, _MODULE, tests)


def write_database_suite(directory: Path, tests: int) -> None:
    """Write a suite of about `tests` tests into an empty directory. A test waits for BENCH_PAUSE_S seconds."""
    _write(directory, _DATABASE_CONFTEST, _DATABASE_MODULE, tests)


def _write(directory: Path, conftest: str, module: str, tests: int) -> None:
    (directory / "conftest.py").write_text(conftest)
    for number in range(tests // TESTS_IN_MODULE):
        component = directory / "tests" / f"component_{number % _DIRECTORIES:02}"
        component.mkdir(parents=True, exist_ok=True)
        (component / f"test_orders_of_region_{number:03}.py").write_text(module)


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
