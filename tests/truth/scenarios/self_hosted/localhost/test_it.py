import asyncio
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from echo import served
from peers import ask


def try_addresses(port, addresses=("::1", "127.0.0.1")):
    """As socket.create_connection does with a name."""
    for address in addresses:
        try:
            return socket.create_connection((address, port))
        except ConnectionRefusedError:
            pass
    return None


def test_addresses_in_a_loop():
    with served(clients=1) as port, try_addresses(port) as sock:
        ask(sock)


def test_name():
    with served(clients=3) as port:
        for _ in range(3):
            with socket.create_connection(("localhost", port)) as sock:
                ask(sock)


async def converse(port, **options):
    reader, writer = await asyncio.open_connection("localhost", port, **options)
    writer.write(b"ask")
    assert await reader.readexactly(3) == b"ask"
    writer.close()
    await writer.wait_closed()


def test_event_loop():
    with served(clients=1) as port:
        asyncio.run(converse(port))


def test_event_loop_with_a_delay():
    """RFC 8305: a refusal ends the delay."""
    with served(clients=1) as port:
        asyncio.run(converse(port, happy_eyeballs_delay=60))


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_waits_for_its_server():
    port = free_port()
    for _ in range(3):
        assert try_addresses(port) is None
    with served(clients=1, port=port), try_addresses(port) as sock:
        ask(sock)


@pytest.fixture
def stopped():
    with served(clients=0) as port:
        pass
    return port


def test_stopped(stopped):
    assert try_addresses(stopped) is None


def test_at_the_other_address():
    with served(clients=1, host="::1") as port, try_addresses(port, ("127.0.0.1", "::1")) as sock:
        ask(sock)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_http_client_of_a_child():
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        code = f"import urllib.request as u; u.urlopen('http://localhost:{server.server_port}/')"
        subprocess.run([sys.executable, "-c", code], check=True)
        thread.join()
