import multiprocessing
import socket

from peers import alpha, ask, beta, closed, gamma, udp
from settled import settle

context = multiprocessing.get_context("forkserver")


def run(function, *arguments):
    settle()
    process = context.Process(target=function, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == 0


def send_unconnected():
    with socket.socket(udp.family, udp.type) as sock:
        sock.sendto(b"ask", udp.address)
        assert sock.recv(3) == b"ask"


def try_closed():
    try:
        closed.connect()
    except ConnectionRefusedError:
        pass


def test_starts_the_server():
    run(alpha.ask)


def test_tcp():
    run(beta.ask)


def test_udp():
    run(udp.ask)


def test_unconnected_udp():
    run(send_unconnected)


def test_refused():
    run(try_closed)


def test_own_connection_in_a_child():
    with gamma.connect() as sock:
        run(ask, sock)


def test_without():
    pass
