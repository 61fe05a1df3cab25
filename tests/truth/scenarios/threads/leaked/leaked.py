import time
from threading import Semaphore, Thread


class Leaked(Thread):
    """Does one thing after another, each when it finds that it is due. The kernel's timer wakes it, and no test."""

    def __init__(self, *doings):
        super().__init__(daemon=True)
        self.doings = doings
        self.due, self.done = 0, Semaphore(0)
        self.start()
        self.wait()

    def run(self):
        for number, do in enumerate(self.doings):
            while self.due <= number:
                time.sleep(0.001)
            do()
            self.done.release()

    def wait(self):
        """Let the next thing be due, and wait until it is done."""
        self.due += 1
        assert self.done.acquire(timeout=30)
