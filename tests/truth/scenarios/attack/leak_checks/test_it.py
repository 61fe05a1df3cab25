from peers import alpha


def test_first():
    alpha.ask()


def test_second():
    alpha.ask()


def test_third():
    alpha.ask()
