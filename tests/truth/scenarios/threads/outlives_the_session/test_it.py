import threading

from peers import alpha, ask


def say_goodbye(sock):
    threading.main_thread().join()  # it has ended when the interpreter waits for the other threads
    ask(sock)


def test_it():
    threading.Thread(target=say_goodbye, args=[alpha.connect()]).start()
