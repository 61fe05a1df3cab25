from peers import Peer


def test_get():
    Peer("8086").ask()
