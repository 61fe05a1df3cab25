from peers import greeter

kept = []


def test_hears():
    with greeter.connect() as sock:
        assert sock.recv(5) == b"hello"


def test_opens():
    kept.append(greeter.connect())


def test_hears_later():
    with kept.pop() as sock:
        assert sock.recv(5) == b"hello"
