from peers import Peer


def test_reads():
    pass


def test_asks_for_the_image():
    """Not marked, so it runs where there is no service."""
    Peer("443").ask()
