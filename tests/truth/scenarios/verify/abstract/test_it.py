from peers import abstract, stream


def test_it():
    abstract.ask()


def test_other():
    stream.ask()
