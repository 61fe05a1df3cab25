from peers import gamma


def test_it():
    gamma.ask()
