from concurrent.futures import ThreadPoolExecutor

from peers import alpha, beta, dual, six


def ask(times, peer=alpha):
    """Whether one of the attempts succeeds."""
    for _ in range(times):
        try:
            return peer.ask()
        except ConnectionRefusedError:
            pass
    return None


def test_goes_on_after_retries():
    ask(3)


def test_fails_after_retries():
    assert ask(5)


def test_replaces_it():
    assert ask(2) or beta.ask()


def test_retries_in_threads():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ask, [3, 4]))


def test_by_ipv6():
    ask(7, six)
    ask(1, dual)
