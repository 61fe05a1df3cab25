import os
import socket

from conftest import running


def test_before():
    pass


def test_requests(daemon):
    daemon.ask("alpha")


def test_does_not():
    running[0].ask("alpha")


def test_requests_another(shop):
    shop.ask("beta")


def test_does_not_either():
    running[0].ask("beta")


def test_uses_the_port(daemon):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0truth-inner-{os.getpid()}")


def test_is_silent():
    pass
