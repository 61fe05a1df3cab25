import socket
import threading
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import pytest
from peers import alpha, ask


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/further":
            alpha.ask()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"body" * 1000)

    def log_message(self, *arguments):
        pass


@contextmanager
def served(kind):
    with kind(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def server_of_the_session():
    with served(ThreadingHTTPServer) as address:
        yield address


@pytest.fixture
def server_of_a_test():
    with served(HTTPServer) as address:
        yield address


def get(address, path="/"):
    connection = HTTPConnection(*address)
    connection.request("GET", path)
    assert len(connection.getresponse().read()) == 4000
    connection.close()


def test_of_a_session(server_of_the_session):
    get(server_of_the_session)


def test_of_a_session_again(server_of_the_session):
    get(server_of_the_session)
    get(server_of_the_session)


def test_of_a_test(server_of_a_test):
    get(server_of_a_test)


def test_that_asks_further(server_of_the_session):
    get(server_of_the_session, "/further")


def test_starts_one():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer():
            with listener.accept()[0] as client:
                client.sendall(client.recv(3))

        thread = threading.Thread(target=answer)
        thread.start()
        with socket.create_connection(listener.getsockname()) as sock:
            ask(sock)
        thread.join()


def test_only_runs(server_of_the_session):
    pass
