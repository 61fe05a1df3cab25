import os
from pathlib import Path

import pytest
from peers import alpha


@pytest.fixture(scope="module")
def turns():
    """Take turns with the tests of test_b.py."""
    with Path("to_b").open("wb", buffering=0) as ours, Path("to_a").open("rb", buffering=0) as theirs:
        yield ours, theirs


@pytest.mark.parametrize("number", range(20))
def test_it(turns, number):
    assert os.getpid() == 1
    turns[0].write(b".")
    alpha.ask()
    turns[1].read(1)
