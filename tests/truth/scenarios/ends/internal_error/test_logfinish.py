from peers import alpha, beta


def test_it():
    alpha.ask()


def test_after():
    beta.ask()
