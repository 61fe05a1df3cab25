import os

import pytest
from peers import alpha, ask, beta, delta, gamma


@pytest.fixture(scope="session")
def connection():
    with alpha.connect() as sock:
        yield sock
    beta.ask()


@pytest.fixture(scope="session")
def of_children():
    gamma.ask()


def test_in_the_runner(connection):
    ask(connection)


@pytest.mark.forked
def test_in_a_child(connection, of_children):
    ask(connection)


@pytest.mark.forked
def test_crashes_in_a_child(connection):
    ask(connection)
    os._exit(1)


@pytest.mark.forked
def test_in_another_child(of_children):
    pass


def test_in_the_runner_again(of_children):
    delta.ask()


def test_at_last(connection):
    pass
