from concurrent.futures import ThreadPoolExecutor
from threading import Event, Timer

from peers import alpha, beta

worker = ThreadPoolExecutor(1)
now, finished = Event(), Event()


def poll():
    assert now.wait(30)
    beta.ask()
    finished.set()


def test_leaks():
    worker.submit(alpha.ask).result()
    Timer(0, poll).start()


def test_gives_it_a_job():
    worker.submit(alpha.ask).result()


def test_is_disturbed():
    now.set()
    assert finished.wait(30)
