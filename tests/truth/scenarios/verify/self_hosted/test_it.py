import fcntl
import os
import socket
import subprocess
import sys
import tempfile
from threading import Thread

import pytest
from echo import ask_at, served
from peers import alpha, udp

# Another run of this suite waits: it has the same ports.
lock = open("/tmp/svc-trace-ports-of-%s.lock" % os.getuid(), "w")
fcntl.flock(lock, fcntl.LOCK_EX)
SERVER = """
import socket
with socket.create_server(("127.0.0.1", 27903)) as server:
    print("listening", flush=True)
    client, _ = server.accept()
    with client:
        client.sendall(client.recv(100))
"""


def test_thread():
    with served(host="127.0.0.1", port=27901) as port:
        ask_at("127.0.0.1", port)


def test_all_addresses():
    with served(host="::", port=27902, clients=2) as port:
        ask_at("127.0.0.1", port)
        ask_at("::1", port)


def test_child():
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE) as server:
        assert server.stdout.readline()
        ask_at("127.0.0.1", 27903)


def test_not_yet_there():
    with pytest.raises(ConnectionRefusedError):
        ask_at("127.0.0.1", 27901)
    with served(host="127.0.0.1", port=27901) as port:
        ask_at("127.0.0.1", port)


def test_unix():
    with tempfile.TemporaryDirectory(dir="/tmp") as directory, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(directory + "/own.sock")
        listener.listen()
        thread = Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(directory + "/own.sock")
        thread.join()


def test_the_port_of_a_refused_service():
    """At another address of this machine, which the rule does not name."""
    with served(host="127.0.0.2", port=alpha.address[1]) as port:
        ask_at("127.0.0.2", port)


def test_by_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.2", udp.address[1]))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"ask", server.getsockname())
        assert server.recv(3) == b"ask"


def test_outside():
    alpha.ask()
