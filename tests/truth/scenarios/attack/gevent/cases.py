import threading

import gevent
from peers import alpha, beta, gamma


def test_greenlets():
    gevent.joinall([gevent.spawn(alpha.ask) for _ in range(3)], raise_error=True)


def test_thread():
    thread = threading.Thread(target=beta.ask)
    thread.start()
    thread.join()


def test_after():
    gamma.ask()
