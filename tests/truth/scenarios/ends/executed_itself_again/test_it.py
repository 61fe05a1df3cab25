from peers import beta, gamma


def test_first():
    beta.ask()


def test_second():
    gamma.ask()
