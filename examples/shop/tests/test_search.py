import pytest
from shop.search import SearchClient, query_path


@pytest.fixture(scope="module")
def search():
    client = SearchClient()
    client.index("tea", "Darjeeling first flush")
    client.index("pot", "Pot for first class tea")
    yield client
    client.close()


def test_path_is_escaped():
    assert query_path("R&D 100%") == "/search?q=R%26D+100%25"


def test_word(search):
    assert search.find("FIRST") == ["pot", "tea"]


def test_connection_is_kept(search):
    assert search.connection.sock is not None
