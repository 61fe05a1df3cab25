from threading import Semaphore, Thread


class Leaked(Thread):
    """Does one thing after another, each when it is woken."""

    def __init__(self, *doings):
        super().__init__(daemon=True)
        self.doings = doings
        self.woken, self.done = Semaphore(0), Semaphore(0)
        self.start()
        self.wake()

    def run(self):
        for do in self.doings:
            self.woken.acquire()
            do()
            self.done.release()

    def wake(self):
        """Have it do the next thing, and wait until it has."""
        self.woken.release()
        assert self.done.acquire(timeout=30)
