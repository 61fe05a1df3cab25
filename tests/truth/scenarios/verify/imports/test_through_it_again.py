import client  # noqa: F401 - imported before; without the service, it is tried again


def test_it():
    pass
