import time

import pytest
from clients import CLIENTS
from settled import settle

for_each_client = pytest.mark.parametrize("name", CLIENTS)
shared = {}


@for_each_client
def test_own(name):
    client = CLIENTS[name]()
    client.use()
    client.close()


@for_each_client
def test_first_use(name):
    shared[name] = CLIENTS[name]()
    shared[name].use()


def test_sleeps():
    time.sleep(0.3)


@for_each_client
def test_second_use(name):
    settle()
    shared[name].use()


def test_computes():
    until_s = time.monotonic() + 0.3
    while time.monotonic() < until_s:
        pass


@for_each_client
def test_closes(name):
    shared[name].close()


@pytest.fixture(scope="session")
def client(request):
    client = CLIENTS[request.param]()
    client.use()
    yield client
    client.close()


for_each_clients_fixture = pytest.mark.parametrize("client", CLIENTS, indirect=True)


@for_each_clients_fixture
def test_fixture_used(client):
    settle()
    client.use()


@for_each_clients_fixture
def test_fixture_unused(client):
    pass


def test_without():
    pass
