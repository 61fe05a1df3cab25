import asyncio
import socket
import ssl

import pytest
from peers import Peer, alpha, ask, tls

unnamed = Peer("49153")


def request(host, target="/"):
    return f"GET {target} HTTP/1.1\r\nUser-Agent: test\r\nHost: {host}\r\n\r\n".encode()


def test_http():
    alpha.ask(request("api.example.com:8080"))


def test_no_rule():
    unnamed.ask(request("API.example.com"))


def test_rule_of_a_host():
    unnamed.ask(request("search.example.com"))


def test_proxy():
    unnamed.ask(request("proxy.example.com", "http://search.example.com/"))


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def test_tls():
    with socket.create_connection(tls.address) as sock:
        with context().wrap_socket(sock, server_hostname="secure.example.com") as encrypted:
            ask(encrypted)


def test_tls_of_asyncio():
    async def converse():
        options = {"ssl": context(), "server_hostname": "secure.example.com"}
        reader, writer = await asyncio.open_connection(*tls.address, **options)
        writer.write(b"secret")
        assert await reader.readexactly(6) == b"secret"
        writer.transport.abort()

    asyncio.run(converse())


def test_path():
    unnamed.ask(request("gateway.example.com", "/_bulk?refresh=true"))


@pytest.fixture(scope="module")
def gateway():
    with unnamed.connect() as sock:
        yield sock


@pytest.mark.parametrize("path", ["/_bulk", "/objects/1"])
def test_another_path_on_the_same_connection(gateway, path):
    ask(gateway, request("gateway.example.com", path))


def test_address_is_no_name():
    alpha.ask(request("127.0.0.1:9200"))
