import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

from peers import alpha, beta

worker = ThreadPoolExecutor(1)
finished = Event()
due = []


def poll():
    while not due:
        time.sleep(0.001)
    time.sleep(0.001)  # a thread that has not waited since the test began may have been asked: it would be unsure
    beta.ask()
    finished.set()


def test_leaks():
    worker.submit(alpha.ask).result()
    Thread(target=poll).start()


def test_gives_it_a_job():
    worker.submit(alpha.ask).result()


def test_is_disturbed():
    due.append(True)
    assert finished.wait(30)
