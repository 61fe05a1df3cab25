from peers import alpha, beta


def test_nothing():
    pass


def test_other():
    beta.ask()


def test_itself():
    alpha.ask()
