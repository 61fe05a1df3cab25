from test_imports import send


def test_sends():
    send()


def test_nothing():
    pass
