import time
from threading import Event, Thread

from peers import alpha, ask

ready = Event()
due = []
leaked = []


def run(function, *args):
    thread = Thread(target=function, args=args)
    thread.start()
    thread.join()


def poll(sock):
    ask(sock)
    ready.set()
    while not due:
        time.sleep(0.001)
    run(ask, sock)


def test_leaks():
    leaked.append(Thread(target=poll, args=[alpha.connect()]))
    leaked[0].start()
    assert ready.wait(30)


def test_is_disturbed():
    due.append(True)
    leaked[0].join()
