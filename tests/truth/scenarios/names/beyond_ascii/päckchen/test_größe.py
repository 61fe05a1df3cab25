import pytest
from peers import alpha, beta, gamma


class TestÜberall:
    @pytest.fixture(scope="class")
    def verbindung_größe(self):
        alpha.ask()

    def test_größe(self, verbindung_größe):
        beta.ask()


@pytest.fixture
def フィクスチャ():
    gamma.ask()


def test_名前(フィクスチャ):
    pass
