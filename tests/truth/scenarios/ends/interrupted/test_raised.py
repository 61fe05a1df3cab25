from peers import alpha, beta


def test_it():
    alpha.ask()
    raise KeyboardInterrupt


def test_after():
    beta.ask()
