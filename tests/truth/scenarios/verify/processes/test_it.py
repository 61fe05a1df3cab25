import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
from peers import alpha, beta

ASK = [sys.executable, "-c", "from peers import alpha; alpha.ask()"]


@pytest.fixture(scope="session")
def in_c(tmp_path_factory):
    """A client in C, linked statically: nothing in its process can refuse it anything."""
    program = str(tmp_path_factory.mktemp("ask") / "ask")
    subprocess.run(["cc", "-static", "-o", program, str(Path(__file__).with_name("ask.c"))], check=True)
    return program


def test_child():
    subprocess.run(ASK, check=True)


def test_grandchild():
    subprocess.run(["sh", "-c", '"$@" && true', "sh", *ASK], check=True)


def test_in_c(in_c):
    assert subprocess.run([in_c, str(alpha.address[1])]).returncode == 0


def test_in_c_from_a_thread(in_c):
    statuses = []
    thread = Thread(target=lambda: statuses.append(subprocess.run([in_c, str(alpha.address[1])]).returncode))
    thread.start()
    thread.join()
    assert statuses == [0]


def test_in_c_elsewhere(in_c):
    subprocess.run([in_c, str(beta.address[1])], check=True)


def test_in_bash():
    subprocess.run(["bash", "-c", "exec 3<>/dev/tcp/%s/%d" % alpha.address], check=True)


def test_forked():
    pid = os.fork()
    if not pid:
        try:
            alpha.ask()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_pool():
    with ProcessPoolExecutor(1) as pool:
        assert pool.submit(alpha.ask).result() == b"ask"


def test_its_failure_does_not_matter():
    subprocess.run(ASK, check=False)


def test_its_own_session():
    subprocess.run(ASK, check=True, start_new_session=True)
