import pytest
from networks import child, enter_a_new_network, join_network, serve
from peers import abstract, alpha, ask, beta, gamma


def test_outside_before():
    alpha.ask()
    abstract.ask()


def test_both():
    def inside():
        enter_a_new_network()
        serve(alpha)
        serve(abstract)
        alpha.ask(b"*1\r\n$4\r\nPING\r\n")
        abstract.ask()

    with child(inside):
        alpha.ask()
        abstract.ask()


def test_who_joins():
    def inside():
        enter_a_new_network()
        serve(beta)

    def visit():
        join_network(server)
        beta.ask()
        with pytest.raises(ConnectionRefusedError):
            gamma.connect()

    with child(inside) as server, child(visit):
        pass


def test_takes_a_socket_along():
    def inside():
        sock = alpha.connect()
        enter_a_new_network()
        serve(alpha)
        ask(sock)

    with child(inside):
        pass


def test_outside_again():
    alpha.ask()
    abstract.ask()
    beta.ask()
