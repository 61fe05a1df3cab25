def test_it(conn):
    pass
