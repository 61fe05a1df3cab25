from threading import Thread

from db import cut, select


def test_first():
    select()


def test_nothing():
    pass


def test_second():
    select()


def test_in_a_thread():
    thread = Thread(target=select)
    thread.start()
    thread.join()


def test_cuts_it():
    cut()


def test_reconnects():
    select()
