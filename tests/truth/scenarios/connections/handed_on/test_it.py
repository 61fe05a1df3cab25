import os
from threading import Thread

from peers import alpha, ask, stream

connections = {}


def test_opens():
    for name, peer in (("alpha", alpha), ("stream", stream)):
        connections[name] = peer.connect()
        ask(connections[name])


def test_uses():
    ask(connections["alpha"])
    ask(connections["alpha"])
    ask(connections["stream"])


def test_uses_in_a_thread():
    thread = Thread(target=ask, args=(connections["alpha"],))
    thread.start()
    thread.join()


def test_uses_in_a_child():
    child = os.fork()
    if not child:
        ask(connections["alpha"])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_does_not():
    assert connections["alpha"].getpeername() == alpha.address
