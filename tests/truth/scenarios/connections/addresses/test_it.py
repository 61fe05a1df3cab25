import socket
from pathlib import Path

import pytest
from peers import alpha, ask, dual, six, stream


def test_mapped_is_the_same():
    dual.ask()
    with socket.create_connection(("127.0.0.1", dual.address[1])) as sock:
        ask(sock)


def test_version_6():
    six.ask()


def test_unspecified_is_this_host():
    with socket.create_connection(("0.0.0.0", alpha.address[1])) as sock:
        ask(sock)


def test_another_loopback_address():
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.1.2.3", alpha.address[1]))


def test_link_local_with_a_scope():
    with socket.socket(socket.AF_INET6) as sock:
        sock.settimeout(0.01)
        with pytest.raises(OSError):
            sock.connect(("fe80::77", alpha.address[1], 0, socket.if_nametoindex("lo")))


def test_relative_path(monkeypatch):
    monkeypatch.chdir(Path(stream.address).parent)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect("stream")
        ask(sock)


def test_abstract_with_any_byte():
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(ConnectionRefusedError):
        sock.connect(b"\0truth\0\xff\n")


def test_long_path():
    with socket.socket(socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
        sock.connect("/nowhere/".ljust(107, "x"))
