import store


def test_first():
    store.query()


def test_second():
    store.query()


def test_without():
    pass
