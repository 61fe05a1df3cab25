import os

import pytest
from peers import alpha, ask, beta, delta, gamma


@pytest.fixture(scope="session")
def connection():
    with alpha.connect() as sock:
        yield sock
    beta.ask()


def test_before(connection):
    ask(connection)


def test_crashes(connection):
    gamma.ask()
    os._exit(1)


def test_after(connection):
    ask(connection)


def test_without():
    delta.ask()
