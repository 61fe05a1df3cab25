import pytest
from peers import alpha, beta, gamma

IDS = {
    "a\nb": 1,
    '"quotes" and \'s': 2,
    "back\\slash": 3,
    "\U0001f600": 4,
    "\udc80": 5,
    "\0\x1b\x7f": 6,
    "][": 7,
    "a::b/c.py::d": 8,
    " ": 9,
    "": 10,
}


@pytest.mark.parametrize("length", IDS.values(), ids=IDS)
def test_it(length):
    alpha.ask(b"x" * length)


@pytest.mark.parametrize("value", [b"\xff\0"])
def test_bytes(value):
    beta.ask()


@pytest.fixture(scope="module", params=["\xe9\n-a::b"])
def parametrized(request):
    gamma.ask()


def test_of_a_fixture(parametrized):
    pass
