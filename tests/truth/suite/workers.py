"""Threads that do a test's work. They start with a worker's first job at the latest."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any, Awaitable, Callable, TypeVar

T = TypeVar("T")


class Pool:
    """A pool with one thread."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1)

    def run(self, job: Callable[[], T]) -> T:
        return self.pool.submit(job).result(30)

    def close(self) -> None:
        self.pool.shutdown()


class LoopThread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, job: Callable[[], Awaitable[T]]) -> T:
        async def done() -> T:
            return await job()

        return asyncio.run_coroutine_threadsafe(done(), self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class OwnLoop:
    """An event loop on the tests' thread, which lasts longer than a test."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def run(self, job: Callable[[], Awaitable[T]]) -> T:
        async def done() -> T:
            return await job()

        return self.loop.run_until_complete(done())

    def close(self) -> None:
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class Client:
    """A request whose methods `ask` and `close` a worker executes."""

    def __init__(self, worker: Callable[[], Any], request: Callable[[], Any]) -> None:
        self.worker = worker()
        self.request = request()

    def use(self) -> None:
        """Send a request and wait for its answer. The first one opens the connection."""
        self.worker.run(self.request.ask)

    def close(self) -> None:
        """Close the connection and end the worker."""
        self.worker.run(self.request.close)
        self.worker.close()
