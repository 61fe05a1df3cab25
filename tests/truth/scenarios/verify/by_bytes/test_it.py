import socket

from conftest import PORTS
from echo import ask_at
from peers import errand

PING = b"*1\r\n$4\r\nPING\r\n"
GET = b"GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n"


def converse(port, data):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(data)
        assert sock.recv(100)


def test_protocol():
    converse(PORTS["cache"], PING)


def test_name_of_the_host():
    converse(PORTS["api"], GET)


def test_tolerates():
    try:
        converse(PORTS["cache"], PING)
    except ConnectionRefusedError:
        pass


def test_no_service():
    ask_at("127.0.0.1", PORTS["other"])


def test_another_port_in_each_run():
    converse(int(errand("listen", 0)), PING)
