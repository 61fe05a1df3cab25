from peers import beta, gamma

beta.ask()


def test_it():
    gamma.ask()
