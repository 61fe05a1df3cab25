import os
import socket
from threading import Thread
from urllib.parse import urlsplit

import pytest
import redis
from peers import alpha, ask, beta, closed, dual, errand, gamma, six


def try_addresses(port, addresses=("::1", "127.0.0.1")):
    """As socket.create_connection does with a name."""
    for address in addresses:
        try:
            with socket.create_connection((address, port)) as sock:
                return ask(sock)
        except ConnectionRefusedError:
            pass
    return None


def test_addresses_in_a_loop():
    assert try_addresses(alpha.address[1])


def test_name():
    with socket.create_connection(("localhost", alpha.address[1])) as sock:
        ask(sock)


def test_at_the_other_address():
    assert try_addresses(six.address[1], ("127.0.0.1", "::1"))


def test_mapped():
    assert try_addresses(dual.address[1], ("::1", "::ffff:127.0.0.1"))


def test_unknown():
    port = int(errand("listen", 0))
    assert try_addresses(port)
    errand("stop", port)


def test_refused_at_both():
    assert try_addresses(closed.address[1]) is None


def test_tries_one():
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("::1", beta.address[1]))


def test_tries_the_other():
    beta.ask()


def test_threads_take_turns():
    for address in ("::1", "127.0.0.1"):
        thread = Thread(target=try_addresses, args=(gamma.address[1], [address]))
        thread.start()
        thread.join()


def test_redis():
    with redis.Redis(host="localhost", port=urlsplit(os.environ["SHOP_REDIS_URL"]).port) as client:
        client.ping()
