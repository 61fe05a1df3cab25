import pytest
from peers import ask, delta, gamma

gamma.ask()


@pytest.mark.parametrize("number", range(8))
def test_many(number, connection):
    ask(connection)


def test_alone():
    delta.ask()
