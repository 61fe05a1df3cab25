import pytest
from client import Client
from peers import alpha, beta, gamma


@pytest.fixture
def client():
    client = Client(alpha)
    yield client
    client.ask()
    client.close()


@pytest.fixture(scope="module")
def shared_client():
    client = Client(beta)
    yield client
    client.ask()
    client.close()


@pytest.fixture
def asked(shared_client):
    shared_client.ask()


def test_its_own():
    client = Client(gamma)
    client.ask()
    client.close()


def test_fixture_s(client):
    client.ask()


def test_shared(shared_client):
    shared_client.ask()


def test_shared_behind_a_fixture(asked):
    pass
