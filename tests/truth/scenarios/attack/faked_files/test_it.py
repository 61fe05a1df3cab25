import os

from peers import alpha, beta, gamma


def test_fake(fs):
    fs.create_file("/only/here")
    assert os.path.exists("/only/here")
    alpha.ask()


def test_fake_with_closed_descriptors(fs):
    os.closerange(100, 4096)
    beta.ask()


def test_after():
    assert not os.path.exists("/only/here")
    gamma.ask()
