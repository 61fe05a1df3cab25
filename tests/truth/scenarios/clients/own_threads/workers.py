"""Threads and processes that do a test's work. They start with a worker's first job at the latest."""

import asyncio
import multiprocessing
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from threading import Thread

from anyio.from_thread import start_blocking_portal
from asgiref.sync import sync_to_async


class Pool:
    def __init__(self):
        self.pool = ThreadPoolExecutor(1)

    def run(self, job):
        self.pool.submit(job).result(30)

    def close(self):
        self.pool.shutdown()


class PoolInPool(Pool):
    def __init__(self):
        super().__init__()
        self.inner = Pool()

    def run(self, job):
        super().run(lambda: self.inner.run(job))

    def close(self):
        super().close()
        self.inner.close()


class QueueThread:
    def __init__(self):
        self.queue = Queue()
        self.thread = Thread(target=self._serve)
        self.thread.start()

    def _serve(self):
        for job, done in iter(self.queue.get, None):
            done.set_result(job())

    def run(self, job):
        done = Future()
        self.queue.put((job, done))
        done.result(30)

    def close(self):
        self.queue.put(None)
        self.thread.join()


class Asgiref:
    """As Django's asynchronous ORM does: one thread for the whole process."""

    def run(self, job):
        asyncio.run(self._run(job))

    async def _run(self, job):
        await sync_to_async(job)()

    def close(self):
        pass


class ToThread:
    """A loop on the tests' thread that lasts longer than a test."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()

    def run(self, job):
        self.loop.run_until_complete(asyncio.to_thread(job))

    def close(self):
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class LoopThread:
    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = Thread(target=self.loop.run_forever)
        self.thread.start()

    def run(self, job):
        asyncio.run_coroutine_threadsafe(job(), self.loop).result(30)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Portal:
    def __init__(self):
        self.context = start_blocking_portal()
        self.portal = self.context.__enter__()

    def run(self, job):
        self.portal.call(job)

    def close(self):
        self.context.__exit__(None, None, None)


class Processes:
    def __init__(self, method):
        self.pool = multiprocessing.get_context(method).Pool(1)

    def run(self, job):
        self.pool.apply(job)

    def close(self):
        self.pool.close()
        self.pool.join()
