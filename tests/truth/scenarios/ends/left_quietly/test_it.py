import os

from peers import alpha, beta, gamma


def test_before():
    alpha.ask()


def test_leaves():
    beta.ask()
    os._exit(0)


def test_after():
    gamma.ask()
