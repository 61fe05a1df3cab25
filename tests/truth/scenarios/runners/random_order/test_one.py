import pytest
from peers import alpha, beta, delta, gamma, stream, udp


@pytest.fixture(scope="module")
def of_module():
    alpha.ask()
    yield
    beta.ask()


class TestIn:
    @pytest.fixture(scope="class")
    def of_class(self):
        gamma.ask()
        yield
        delta.ask()

    def test_first(self, of_class, of_module, pool):
        pass

    def test_second(self, of_class, of_module, pool):
        pass

    def test_third(self, of_class, of_module, pool):
        pass


def test_without():
    udp.ask()


def test_fetches(request):
    request.getfixturevalue("pool")
    stream.ask()
