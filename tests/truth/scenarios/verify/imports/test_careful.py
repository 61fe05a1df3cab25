from contextlib import suppress

from peers import alpha

answer = None
with suppress(ConnectionRefusedError):
    answer = alpha.ask()


def test_needs_the_answer():
    assert answer


def test_does_without_it():
    pass
