import os
import shlex
import subprocess
import sys
from threading import Thread

import pytest
from peers import gamma


def client(peer):
    """A program that asks a peer what it reads."""
    return [
        sys.executable,
        "-c",
        f"import sys; from peers import {peer}; {peer}.ask(sys.stdin.buffer.read() or b'ask')",
    ]


def test_run():
    subprocess.run(client("alpha"), stdin=subprocess.DEVNULL, check=True)


def test_popen():
    with subprocess.Popen(client("beta"), stdin=subprocess.PIPE) as process:
        process.stdin.close()
    assert process.returncode == 0


def test_shell():
    subprocess.run(shlex.join(client("alpha")) + " </dev/null && exit 0", shell=True, check=True)
    host, port = gamma.address
    talk = f"exec 3<>/dev/tcp/{host}/{port}; printf ask >&3; read -r -N 3 answer <&3; test $answer = ask"
    subprocess.run(talk, shell=True, executable="/bin/bash", check=True)


def test_pipeline():
    alpha, beta = map(shlex.join, map(client, ("alpha", "beta")))
    subprocess.run(f"(printf apple | {alpha}; printf avocado) | cat | {beta}", shell=True, check=True)


def test_posix_spawn():
    pid = os.posix_spawn(
        sys.executable,
        client("gamma"),
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)],
    )
    assert os.waitpid(pid, 0)[1] == 0


def test_subprocess_by_posix_spawn():
    subprocess.run(client("delta"), stdin=subprocess.DEVNULL, close_fds=False, check=True)


def test_by_a_thread():
    thread = Thread(target=subprocess.run, args=(client("alpha"),), kwargs={"stdin": subprocess.DEVNULL})
    thread.start()
    thread.join()


CHATTY = """
import sys
from peers import alpha, ask
with alpha.connect() as sock:
    print(ask(sock), flush=True)
    for line in sys.stdin:
        print(ask(sock), flush=True)
"""


@pytest.fixture
def child():
    with subprocess.Popen(
        [sys.executable, "-c", CHATTY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdout.readline()
        yield process
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        process.stdin.close()


def test_by_a_fixture(child):
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline()


def test_without():
    subprocess.run(["true"], check=True)
