from peers import alpha

alpha.ask()


def test_it():
    pass
