import pytest
from peers import (
    abstract,
    alpha,
    beta,
    closed,
    datagrams,
    delta,
    dual,
    gamma,
    missing,
    packets,
    silent,
    six,
    stream,
    tls,
    udp,
    udp6,
)


def test_tcp():
    for peer in (alpha, beta, gamma, delta, six, dual, tls):
        assert peer.ask(b"what") == b"what"


def test_datagrams():
    for peer in (udp, udp6, datagrams):
        assert peer.ask(b"what") == b"what"


def test_unix():
    for peer in (stream, packets, abstract):
        assert peer.ask(b"what") == b"what"


def test_nobody_answers():
    with pytest.raises(ConnectionRefusedError):
        closed.connect()
    with pytest.raises(FileNotFoundError):
        missing.connect()
    with pytest.raises(OSError, match="timed out"):
        silent.connect(timeout=0.05)
