"""Pollers that a test leaves running. Each sends to a peer of its own, when a timer of its own wakes it."""

import asyncio
import os
import queue
import time
from threading import Event, Thread

from peers import alpha, ask, beta, delta, gamma, six, stream

PERIOD_S = 0.02


class Poller(Thread):
    """Sends on a connection that it keeps."""

    def __init__(self, peer):
        super().__init__()
        self.peer = peer
        self.sock = None
        self.sends = 0
        self.stopped = False

    def run(self):
        while not self.stopped:
            self.poll()
            self.pause()

    def poll(self):
        self.sock = self.sock or self.peer.connect()
        ask(self.sock)
        self.sends += 1

    def pause(self):
        time.sleep(PERIOD_S)

    def stop(self):
        self.stopped = True
        self.join()


class WaitsForAnEvent(Poller):
    def __init__(self, peer):
        super().__init__(peer)
        self.event = Event()

    def pause(self):
        self.event.wait(PERIOD_S)


class WaitsForAQueue(Poller):
    def __init__(self, peer):
        super().__init__(peer)
        self.queue = queue.Queue()

    def pause(self):
        try:
            self.queue.get(timeout=PERIOD_S)
        except queue.Empty:
            pass


class InALoop(Poller):
    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        while not self.stopped:
            self.poll()
            await asyncio.sleep(PERIOD_S)


class Reconnects(Poller):
    def poll(self):
        self.peer.ask()
        self.sends += 1

    def pause(self):
        time.sleep(5 * PERIOD_S)


class InAProcess:
    """It counts its sends in a pipe, which no process waits for."""

    def __init__(self, peer):
        self.peer = peer
        self.counted = 0

    def start(self):
        self.counts, counts = os.pipe()
        ends, self.end = os.pipe()
        os.set_blocking(self.counts, False)
        os.set_blocking(ends, False)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.end)
            try:
                self._serve(counts, ends)
            finally:
                os._exit(0)
        os.close(counts)
        os.close(ends)

    def _serve(self, counts, ends):
        sock = self.peer.connect()
        while not self._ended(ends):
            ask(sock)
            os.write(counts, b".")
            time.sleep(PERIOD_S)

    @staticmethod
    def _ended(ends):
        try:
            return os.read(ends, 1) == b""
        except BlockingIOError:
            return False

    @property
    def sends(self):
        try:
            self.counted += len(os.read(self.counts, 4096))
        except BlockingIOError:
            pass
        return self.counted

    def stop(self):
        os.close(self.end)
        os.waitpid(self.pid, 0)
        os.close(self.counts)


POLLERS = {  # the process first, because it is forked
    "process": InAProcess(six),
    "sleep": Poller(alpha),
    "event": WaitsForAnEvent(beta),
    "queue": WaitsForAQueue(gamma),
    "loop": InALoop(delta),
    "reconnects": Reconnects(stream),
}


def all_poll():
    """Yields until each poller has sent, and the one that reconnects has just sent.

    So that one waits while the next test begins. If it ran then, its cause would be unsure, and the older rules apply.
    """
    reconnects = POLLERS["reconnects"]
    before = {name: poller.sends for name, poller in POLLERS.items()}
    while any(poller.sends == before[name] for name, poller in POLLERS.items()):
        yield
    before = reconnects.sends
    while reconnects.sends == before:
        yield
