import pytest
from peers import alpha, gamma

IDS = {
    "a\nb\r\tc": 1,
    '"quotes" and \'s': 2,
    "back\\slash\\n": 3,
    "\U0001f600\xe9\u2028": 4,
    "a surrogate \udc80, one of two \udcff.": 5,
    "a surrogate \udc80, another \udcfe.": 6,
    "\0\x1b\x7f\x85": 7,
}


@pytest.mark.parametrize("length", IDS.values(), ids=IDS)
def test_it(length):
    alpha.ask(b"x" * length)


@pytest.fixture(scope="module", params=['\n\U0001f600"'])
def parametrized(request):
    gamma.ask()


def test_of_a_fixture(parametrized):
    pass
