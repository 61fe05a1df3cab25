import pytest
from watched import Watched, produce


@pytest.fixture(scope="session", autouse=True)
def message():
    produce()


@pytest.fixture
def consumer():
    watched = Watched()
    yield watched
    watched.consumer.close()
