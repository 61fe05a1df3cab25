import asyncio
import socket

from peers import Peer, alpha, ask, beta, tls, unverified_context

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


def test_tls():
    with socket.create_connection(tls.address) as sock:
        with unverified_context().wrap_socket(sock, server_hostname="secure.example.com") as encrypted:
            ask(encrypted)


def test_tls_of_asyncio():
    async def converse():
        options = {"ssl": unverified_context(), "server_hostname": "secure.example.com"}
        reader, writer = await asyncio.open_connection(*tls.address, **options)
        writer.write(b"secret")
        assert await reader.readexactly(6) == b"secret"
        writer.transport.abort()

    asyncio.run(converse())


def test_address_is_no_name():
    beta.ask(request("127.0.0.1:9200"))
