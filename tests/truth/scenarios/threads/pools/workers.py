from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, local

from peers import ask
from settled import settle

_own = local()


class Pool(ThreadPoolExecutor):
    """Each of its threads has a connection of its own, which it opens with its first job."""

    def __init__(self, peer, size):
        super().__init__(size)
        self.peer = peer

    def ask(self, threads=1):
        """Send once from each of so many threads."""
        settle()
        together = Barrier(threads, timeout=30)
        for job in [self.submit(self._ask, together) for _ in range(threads)]:
            job.result()

    def _ask(self, together):
        if not hasattr(_own, "sock"):
            _own.sock = self.peer.connect()
        together.wait()
        ask(_own.sock)
