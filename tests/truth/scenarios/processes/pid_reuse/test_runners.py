import peers
import pytest


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("peer", ["alpha", "none", "beta"])
def test_forked(peer, number):
    if peer != "none":
        getattr(peers, peer).ask()
