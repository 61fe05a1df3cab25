from itertools import count

import pytest
from peers import alpha, beta

attempts = {number: count(1) for number in range(4)}


@pytest.fixture(scope="session")
def pool():
    alpha.ask()


@pytest.mark.parametrize("number", range(4))
def test_is_flaky(pool, number):
    beta.ask()
    assert next(attempts[number]) == 2
