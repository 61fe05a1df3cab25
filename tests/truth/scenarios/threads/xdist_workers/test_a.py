from concurrent.futures import ThreadPoolExecutor

from peers import alpha, ask
from settled import settle

worker = ThreadPoolExecutor(1)


def test_leaks():
    test_leaks.sock = worker.submit(alpha.connect).result()


def test_is_disturbed():
    settle()
    worker.submit(ask, test_leaks.sock).result()
