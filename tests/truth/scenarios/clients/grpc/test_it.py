import asyncio
import os
from pathlib import Path

import grpc
import grpc.aio
from client import TARGET, TIMES, TLS_TARGET, ask, channel, worker


def test_first():
    ask(channel())


def test_again():
    ask(channel(), TIMES)


def test_nothing():
    pass


def test_in_a_worker():
    worker().submit(ask, channel(), TIMES).result()


def test_in_the_worker_again():
    worker().submit(ask, channel(), TIMES).result()


def test_in_flight_together():
    method = channel().unary_unary("/echo.Echo/One")
    answers = [method.future(b"ask", timeout=60) for _ in range(TIMES)]
    assert [answer.result() for answer in answers] == [b"ask"] * TIMES


def test_stream():
    messages = [b"%d" % number for number in range(TIMES)]
    method = channel().stream_stream("/echo.Echo/Stream")
    assert list(method(iter(messages), timeout=60)) == messages


def test_large():
    method = channel().unary_unary("/echo.Echo/One")
    assert len(method(b"x" * 3_000_000, timeout=60)) == 3_000_000


def test_asyncio():
    async def ask_all():
        async with grpc.aio.insecure_channel(TARGET) as own:
            method = own.unary_unary("/echo.Echo/One")
            for _ in range(TIMES):
                assert await method(b"ask", timeout=60) == b"ask"

    asyncio.run(ask_all())


def test_fixtures_channel(own_channel):
    ask(own_channel, TIMES)


def test_fixtures_channel_unused(own_channel):
    pass


def test_tls():
    credentials = grpc.ssl_channel_credentials(Path(os.environ["TRUTH_CERTIFICATE"]).read_bytes())
    options = [("grpc.ssl_target_name_override", "localhost")]
    with grpc.secure_channel(TLS_TARGET, credentials, options) as own:
        ask(own)


def test_nothing_again():
    pass
