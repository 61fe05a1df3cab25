from peers import delta


def test_it():
    delta.ask()
