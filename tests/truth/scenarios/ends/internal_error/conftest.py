from peers import delta


def pytest_collection_modifyitems(items):
    if items[0].nodeid.startswith("test_collection.py"):
        delta.ask()
        raise RuntimeError("in the collection")


def pytest_runtest_makereport(item, call):
    if item.name == "test_breaks" and call.when == "call":
        raise RuntimeError("in a test")


def pytest_runtest_logfinish(nodeid):
    if nodeid.startswith("test_logfinish.py"):
        raise RuntimeError("after a test")
