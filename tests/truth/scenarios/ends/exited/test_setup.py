from peers import beta


def test_it(exits):
    beta.ask()


def test_after():
    beta.ask()
