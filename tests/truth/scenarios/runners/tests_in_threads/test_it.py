import threading

from peers import alpha, beta, delta, gamma

both_began = threading.Barrier(2)


def test_first():
    both_began.wait()
    alpha.ask()
    helper = threading.Thread(target=beta.ask)
    helper.start()
    helper.join()


def test_second(wait_for_the_first):
    both_began.wait()
    gamma.ask()
    wait_for_the_first()
    delta.ask()
