import pytest
from leaked import Leaked
from peers import alpha, ask, beta, gamma

leaked = {}


def test_leaks():
    sock = alpha.connect()
    leaked["poller"] = Leaked(*[lambda: ask(sock)] * 6)


def test_is_disturbed():
    beta.ask()
    leaked["poller"].wait()


@pytest.fixture
def disturbed():
    leaked["poller"].wait()
    yield
    leaked["poller"].wait()


def test_is_disturbed_around_its_call(disturbed):
    pass


@pytest.fixture(scope="module")
def service():
    gamma.ask()
    leaked["poller"].wait()
    yield
    leaked["poller"].wait()


def test_whose_fixture_is_disturbed(service):
    pass


def test_inherits_from_it(service):
    pass
