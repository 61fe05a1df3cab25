import time
from threading import Semaphore, Thread

from peers import ask


class Heart(Thread):
    """Beats on a connection of its own, from a thread of its own; once in the beginning. No test wakes it."""

    def __init__(self, peer):
        super().__init__(daemon=True)
        self.peer = peer
        self.due, self.done = 0, Semaphore(0)
        self.start()
        self.beat()

    def run(self):
        with self.peer.connect() as sock:
            beats = 0
            while True:
                while self.due == beats:
                    time.sleep(0.001)
                beats += 1
                ask(sock)
                self.done.release()

    def beat(self):
        """Let a beat be due, and wait for it."""
        self.due += 1
        assert self.done.acquire(timeout=30)
