import pytest
from echo import ask_at, served


def test_loopback():
    with served(2, "0.0.0.0") as port:
        ask_at("127.0.0.1", port)
        ask_at("127.0.0.2", port)


def test_loopback_of_version_6():
    with served(2, "::") as port:
        ask_at("::1", port)
        ask_at("127.0.0.1", port)


def test_another_address_by_name():
    for host in ("192.0.2.1", "2001:db8::1"):
        with served(1, host) as port:
            ask_at(host, port)


def test_another_address():
    with served(1, "0.0.0.0") as port:
        ask_at("192.0.2.1", port)
    with served(1, "::") as port:
        ask_at("2001:db8::1", port)


def test_bound_elsewhere():
    with served(0, "192.0.2.1") as port, pytest.raises(ConnectionRefusedError):
        ask_at("127.0.0.1", port)
