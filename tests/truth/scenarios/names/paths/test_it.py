import pytest
from peers import Peer, ask

gateway = Peer("49153")


def request(path):
    return f"GET {path} HTTP/1.1\r\nHost: gateway.example.com\r\n\r\n".encode()


def test_path():
    gateway.ask(request("/_bulk?refresh=true"))


@pytest.fixture(scope="module")
def connection():
    with gateway.connect() as sock:
        yield sock


@pytest.mark.parametrize("path", ["/_bulk", "/objects/1"])
def test_another_path_on_the_same_connection(connection, path):
    ask(connection, request(path))
