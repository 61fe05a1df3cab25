import socket

import pytest
from echo import ask_at, served

BOTH_V4, BOTH_V6 = "192.0.2.1", "2001:db8::1"  # of the host `both`
V4, OTHER_V4, V6 = "192.0.2.2", "192.0.2.3", "2001:db8::2"  # without a name


def is_refused(address, port):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, port))


def look_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as resolver:
        resolver.sendto(b"\0" * 12, (OTHER_V4, 53))


def test_name():
    with served(host=BOTH_V4) as port:
        ask_at("both", port)


def test_known_name_in_spite_of_a_look_up():
    with served(host=BOTH_V4) as port:
        is_refused(BOTH_V6, port)
        look_up()
        ask_at(BOTH_V4, port)


def test_refused_at_both():
    is_refused("both", 7)


def test_addresses_in_a_loop():
    with served(host=V6) as port:
        is_refused(V4, port)
        ask_at(V6, port)


def test_one_version():
    with served(host=OTHER_V4) as port:
        is_refused(V4, port)
        ask_at(OTHER_V4, port)


def test_looks_up_another_name_in_between():
    with served(host=V4) as port:
        is_refused(V6, port)
        look_up()
        ask_at(V4, port)
