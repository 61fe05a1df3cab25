from peers import alpha


def test_it():
    alpha.ask()
