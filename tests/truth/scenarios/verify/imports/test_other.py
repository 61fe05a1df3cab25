from peers import beta

beta.ask()


def test_it():
    pass
