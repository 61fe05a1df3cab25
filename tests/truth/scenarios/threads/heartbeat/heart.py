from threading import Semaphore, Thread

from peers import ask


class Heart(Thread):
    """Beats on a connection of its own, from a thread of its own; once in the beginning."""

    def __init__(self, peer):
        super().__init__(daemon=True)
        self.peer = peer
        self.due, self.done = Semaphore(0), Semaphore(0)
        self.start()
        self.beat()

    def run(self):
        with self.peer.connect() as sock:
            while True:
                self.due.acquire()
                ask(sock)
                self.done.release()

    def beat(self):
        """Have it beat, and wait until it has."""
        self.due.release()
        assert self.done.acquire(timeout=30)
