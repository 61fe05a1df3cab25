import asyncio

import pytest
import pytest_asyncio
import uvloop
from peers import alpha, beta, stream

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pool():
    reader, writer = await asyncio.open_connection(*alpha.address)
    writer.write(b"ask")
    await reader.readexactly(3)
    yield reader, writer
    writer.close()
    await writer.wait_closed()


async def test_first(pool):
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    reader, writer = pool
    writer.write(b"ask")
    await reader.readexactly(3)


async def test_second(pool):
    reader, writer = await asyncio.open_connection(*beta.address)
    writer.write(b"ask")
    await reader.readexactly(3)
    writer.close()
    await writer.wait_closed()


async def test_in_an_executor():
    await asyncio.get_running_loop().run_in_executor(None, stream.ask)


async def test_over_unix():
    reader, writer = await asyncio.open_unix_connection(stream.address)
    writer.write(b"ask")
    await reader.readexactly(3)
    writer.close()
    await writer.wait_closed()
