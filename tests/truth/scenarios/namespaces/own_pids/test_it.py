import os
import subprocess
import sys
from threading import Thread

import pytest
from peers import alpha, ask, beta


@pytest.fixture(scope="module")
def connection():
    with beta.connect() as sock:
        ask(sock)
        yield sock


def test_is_the_first_process():
    assert os.getpid() == 1
    alpha.ask()


def test_requests(connection):
    pass


def test_thread(connection):
    thread = Thread(target=ask, args=(connection,))
    thread.start()
    thread.join()


def test_child():
    subprocess.run([sys.executable, "-c", "from peers import gamma; gamma.ask()"], check=True)


def test_of_a_pytest_within(tmp_path):
    (tmp_path / "test_within.py").write_text("from peers import delta\ndef test_within(): delta.ask()\n")
    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)], cwd=str(tmp_path), check=True
    )


def test_without():
    pass
