import anyio
import pytest
from peers import alpha, beta, gamma, stream

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture(scope="module")
async def pool(anyio_backend):
    async with await anyio.connect_tcp(*alpha.address) as connection:
        yield connection


@pytest.fixture
async def around():
    yield
    async with await anyio.connect_tcp(*gamma.address) as connection:
        await connection.send(b"ask")
        await connection.receive()


async def test_first(pool, around):
    await pool.send(b"ask")
    await pool.receive()


async def test_in_a_thread():
    await anyio.to_thread.run_sync(stream.ask)


async def test_in_tasks(pool):
    async def ask():
        async with await anyio.connect_tcp(*beta.address) as connection:
            await connection.send(b"ask")
            await connection.receive()

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        group.start_soon(ask)
