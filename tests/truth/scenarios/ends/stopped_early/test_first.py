from peers import gamma


def test_fails(wide):
    gamma.ask()
    raise AssertionError


def test_after(wide):
    gamma.ask()
