from concurrent.futures import ThreadPoolExecutor

import pytest
from peers import alpha, ask, beta, gamma
from settled import settle

worker = ThreadPoolExecutor(1)


@pytest.fixture(scope="session")
def session_connection():
    with gamma.connect() as sock:
        yield sock


def test_first():
    test_first.sock = worker.submit(alpha.connect).result()


def test_sends_itself_on_the_worker_s_connection():
    ask(test_first.sock)


def test_lets_the_worker_send_on_its_own():
    settle()
    with beta.connect() as sock:
        worker.submit(ask, sock).result()


def test_lets_the_worker_send_on_a_fixture_s(session_connection):
    settle()
    worker.submit(ask, session_connection).result()


def test_lets_the_worker_send_on_its_old_one():
    settle()
    worker.submit(ask, test_first.sock).result()
