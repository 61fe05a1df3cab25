import pytest
from peers import alpha, beta, gamma

ASKED = {"x" * 10_000 + "1": alpha, "x" * 10_000 + "2": beta, "y" * 100_000 + "1": gamma, "y" * 100_000 + "2": None}


@pytest.mark.parametrize("peer", ASKED.values(), ids=ASKED)
def test_it(peer):
    if peer:
        peer.ask()
