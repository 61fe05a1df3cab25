from threading import Event, Thread

from peers import alpha, ask

now, ready = Event(), Event()
leaked = []


def run(function, *args):
    thread = Thread(target=function, args=args)
    thread.start()
    thread.join()


def poll(sock):
    ask(sock)
    ready.set()
    assert now.wait(30)
    run(ask, sock)


def test_leaks():
    leaked.append(Thread(target=poll, args=[alpha.connect()]))
    leaked[0].start()
    assert ready.wait(30)


def test_is_disturbed():
    now.set()
    leaked[0].join()
