from peers import beta


def test_inner():
    beta.ask()
