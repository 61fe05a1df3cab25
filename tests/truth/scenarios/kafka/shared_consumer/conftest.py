import pytest
from watched import Watched, produce


@pytest.fixture(scope="session")
def consumer(pytestconfig):
    produce()
    watched = Watched()
    watched.consume()
    pytestconfig.watched = watched
    yield watched
    watched.consumer.close()
