from peers import alpha, beta, delta, gamma

beta.ask()


def test_first():
    alpha.ask()


def test_second():
    delta.ask()


def test_last():
    gamma.ask()


def test_last_of_all():
    delta.ask()
