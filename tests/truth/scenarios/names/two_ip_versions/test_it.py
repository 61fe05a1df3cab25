import socket

import pytest
from echo import ask_at, served

V4, OTHER_V4, V6 = "192.0.2.1", "192.0.2.2", "2001:db8::1"


def try_then_ask(refusing, answering, port):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((refusing, port))
    ask_at(answering, port)


def test_name():
    with served(host=V4) as port:
        ask_at("both", port)


def test_addresses_in_a_loop():
    with served(host=V6) as port:
        try_then_ask(V4, V6, port)


def test_one_version():
    with served(host=OTHER_V4) as port:
        try_then_ask(V4, OTHER_V4, port)


def test_looks_up_another_name_in_between():
    with served(host=V4) as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((V6, port))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
            resolver.sendto(b"\0" * 12, (OTHER_V4, 53))
        ask_at(V4, port)


def test_refused_at_both():
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("both", 7))
