from peers import Peer


def test_stores(requires_objectstore):
    Peer("8888").ask()


def test_uploads():
    """Nothing says that an upload is stored."""
    Peer("8888").ask()


def test_counts():
    Peer("7000").ask()
