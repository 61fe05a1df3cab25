import asyncio
import select
import socket

import pytest
from peers import alpha, ask, beta, errand, gamma, silent

left = []


def begin(address):
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(address)
    return sock


def complete(sock):
    select.select([], [sock], [])
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    sock.setblocking(True)


@pytest.fixture
def begun():
    with begin(beta.address) as sock:
        yield sock


def test_select():
    with begin(alpha.address) as sock:
        complete(sock)
        assert sock.connect_ex(alpha.address) in (0, 106)  # 0 or EISCONN: it is told once
        ask(sock)


def test_begun_in_the_setup(begun):
    complete(begun)
    ask(begun)


def test_asyncio():
    async def converse():
        reader, writer = await asyncio.open_connection(*gamma.address)
        writer.write(b"ask")
        assert await reader.readexactly(3) == b"ask"
        writer.close()
        await writer.wait_closed()

    asyncio.run(converse())


def test_begins():
    """The queue is full, so the first packet is dropped; TCP sends it again after a second."""
    port = int(errand("keep_waiting"))
    left.append((port, begin(("127.0.0.1", port))))


def test_completes():
    port, sock = left.pop()
    errand("admit", port)
    with sock:
        complete(sock)
        ask(sock)


def test_gives_up():
    begin(silent.address).close()


def test_leaves_one_behind():
    left.append(begin(silent.address))


def test_closes_it():
    left.pop().close()


def test_never_closes():
    left.append(begin(silent.address))
