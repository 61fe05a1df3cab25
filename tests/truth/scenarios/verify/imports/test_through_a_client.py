import client  # noqa: F401 - asks


def test_it():
    pass
