"""More threads, and processes. They start with a worker's first job at the latest."""

import asyncio
import multiprocessing
from concurrent.futures import Future
from queue import Queue
from threading import Thread

from anyio.from_thread import start_blocking_portal
from asgiref.sync import sync_to_async
from workers import OwnLoop, Pool


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


class ToThread(OwnLoop):
    """asyncio's pool of threads."""

    def run(self, job):
        super().run(lambda: asyncio.to_thread(job))


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
