from peers import beta


def test_it():
    beta.ask()
