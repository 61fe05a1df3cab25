import pytest
from peers import alpha

alpha.ask()


@pytest.mark.parametrize("number", [1, 2])
def test_it(number):
    pass
