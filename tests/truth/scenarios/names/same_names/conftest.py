import pytest
from peers import delta


@pytest.fixture(scope="session")
def shared():
    delta.ask()
