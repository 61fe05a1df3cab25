from peers import beta
from test_a import poll

beta.ask()
poll()


def test_second():
    pass
