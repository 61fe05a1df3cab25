import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Thread

import pytest
from peers import udp
from pollers import POLLERS, all_poll

worker = ThreadPoolExecutor(1)


@pytest.mark.parametrize("name", POLLERS)
def test_leaks(name):
    POLLERS[name].start()
    while not POLLERS[name].sends:
        time.sleep(0.001)


def test_idles():
    for _ in all_poll():
        time.sleep(0.001)


def test_computes():
    for _ in all_poll():
        sha256(b"a" * 100_000).hexdigest()
        sorted(range(10_000), key=str)


def test_uses_a_pool():
    for _ in all_poll():
        worker.submit(sum, range(100)).result()
    worker.submit(udp.ask).result()


def test_starts_threads():
    for _ in all_poll():
        thread = Thread(target=sum, args=[range(100)])
        thread.start()
        thread.join()


def test_stops():
    for poller in POLLERS.values():
        poller.stop()
