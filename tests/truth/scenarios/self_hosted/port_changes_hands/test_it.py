"""The tests build on one another: a port goes from hand to hand."""

import socket
from threading import Thread

import pytest
from peers import ask, errand

ports = []


def ask_at(port):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        ask(sock)


def test_first_another():
    ports.append(int(errand("listen", 0)))
    ask_at(ports[0])


def serve_once(port):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        port = listener.getsockname()[1]

        def answer():
            with listener.accept()[0] as client:
                client.sendall(client.recv(3))

        thread = Thread(target=answer)
        thread.start()
        ask_at(port)
        thread.join()
    return port


def test_then_the_run():
    errand("stop", ports[0])
    serve_once(ports[0])


def test_then_another_again():
    assert int(errand("listen", ports[0])) == ports[0]
    ask_at(ports[0])
    errand("stop", ports[0])


def test_free_port_of_the_run():
    """The kernel's choice, as for most servers of tests."""
    port = serve_once(0)
    assert int(errand("listen", port)) == port
    ask_at(port)
    errand("stop", port)


def test_then_nobody():
    with pytest.raises(ConnectionRefusedError):
        ask_at(ports[0])
