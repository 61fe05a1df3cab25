import pytest


@pytest.fixture
def inner():
    pass


@pytest.fixture
def outer(inner):
    pass


def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "test_by_a_hook":
            item.add_marker("slow")
