from peers import alpha


def test_it(conn):
    alpha.ask()
