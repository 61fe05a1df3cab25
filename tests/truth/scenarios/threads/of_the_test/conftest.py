from peers import delta


def pytest_configure(config):
    config.delta = delta.connect()


def pytest_unconfigure(config):
    config.delta.close()
