from threading import Thread

from peers import beta


def test_own_thread():
    thread = Thread(target=beta.ask)
    thread.start()
    thread.join()


def test_nothing():
    pass
