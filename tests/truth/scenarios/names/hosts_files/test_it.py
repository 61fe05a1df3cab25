import socket
import subprocess
import sys

import pytest

ATTEMPT = "import socket; socket.socket().connect_ex(('10.9.8.6', 5433))"
STAY = f"{ATTEMPT}; print(flush=True); input()"
ELSEWHERE = """
ip link set lo up && ip address add 10.9.8.0/24 dev lo &&
mount -t tmpfs none /mnt && echo '10.9.8.6 other.internal' > /mnt/hosts && mount --bind /mnt/hosts /etc/hosts &&
exec "$0" -c "$1"
"""


@pytest.fixture(scope="module")
def processes():
    """Processes that stay until the end: the files of mount namespaces without a process cannot be read."""
    started = []
    yield started
    for process in started:
        process.communicate(b"\n")


def attempt(host):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, 5433))


def test_of_a_process_elsewhere(processes):
    command = ["unshare", "--net", "--mount", "sh", "-c", ELSEWHERE, sys.executable, STAY]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    processes.append(process)
    assert process.stdout.readline()


def test_by_name():
    attempt("db.internal")


def test_by_address():
    attempt("10.9.8.6")


def test_datagram():
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"count", ("10.9.8.7", 4999))


def test_without_a_name():
    attempt("10.9.8.5")


def test_of_localhost():
    attempt("127.0.0.1")


def test_of_children():
    for _ in range(5):
        subprocess.run([sys.executable, "-c", ATTEMPT], check=True)
