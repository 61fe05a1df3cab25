import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from peers import alpha, ask, beta
from settled import settle


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


async def in_executor(function, *args):
    settle()
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)


def test_own_loop():
    asyncio.run(in_executor(alpha.ask))


def test_fixture_s_loop(loop):
    test_fixture_s_loop.sock = loop.run_until_complete(in_executor(beta.connect))


def test_its_executor_once_more(loop):
    loop.run_until_complete(in_executor(alpha.ask))


def test_its_executor_on_an_old_connection(loop):
    loop.run_until_complete(in_executor(ask, test_fixture_s_loop.sock))
    test_fixture_s_loop.sock.close()
