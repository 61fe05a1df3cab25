import asyncio

import pytest
import pytest_asyncio
from peers import alpha, beta, delta, gamma, stream, udp

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def ask(peer, reader=None, writer=None):
    """What peers.ask does, on asyncio's own streams."""
    if writer is not None:
        writer.write(b"ask")
        return await reader.readexactly(3)
    reader, writer = await asyncio.open_connection(*peer.address)
    writer.write(b"ask")
    await reader.readexactly(3)
    writer.close()
    await writer.wait_closed()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pool():
    reader, writer = await asyncio.open_connection(*alpha.address)
    yield lambda: ask(alpha, reader, writer)
    writer.close()
    await writer.wait_closed()
    await ask(beta)


@pytest_asyncio.fixture(loop_scope="session")
async def around():
    await ask(gamma)
    yield
    await ask(delta)


async def test_first(pool, around):
    await pool()


async def test_second(pool):
    await asyncio.gather(pool(), ask(gamma))


async def test_in_an_executor():
    await asyncio.get_running_loop().run_in_executor(None, stream.ask)


async def test_in_a_thread():
    await asyncio.to_thread(stream.ask)


@pytest.mark.asyncio(loop_scope="function")
async def test_in_a_loop_of_its_own():
    await ask(delta)


left = {}


async def test_leaves_a_task():
    async def answer():
        reader, writer = await asyncio.open_connection(*gamma.address)
        left["connected"].set()
        await left["go on"].wait()
        await ask(gamma, reader, writer)
        writer.close()
        await writer.wait_closed()

    left["connected"], left["go on"] = asyncio.Event(), asyncio.Event()
    left["task"] = asyncio.create_task(answer())
    await left["connected"].wait()


async def test_in_which_the_task_goes_on():
    left["go on"].set()
    await left["task"]


def test_without():
    udp.ask()
