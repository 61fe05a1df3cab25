from peers import ask


def test_first(filled, lazy):
    with filled.connection() as sock:
        ask(sock)
    with lazy.connection() as sock:
        ask(sock)


def test_second(filled, lazy):
    for _ in range(2):
        with filled.connection() as sock:
            ask(sock)
    with lazy.connection() as sock:
        ask(sock)


def test_only_requests(filled):
    pass


def test_only_requests_the_lazy(lazy):
    pass
