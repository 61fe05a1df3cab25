from concurrent.futures import ThreadPoolExecutor

from peers import alpha, ask
from settled import settle

worker = ThreadPoolExecutor(1)
sock = worker.submit(alpha.connect).result()


def poll():
    settle()
    worker.submit(ask, sock).result()


poll()


def test_first():
    pass
