import subprocess
import sys

import pytest
from peers import delta

INNER = ["-p", "no:cacheprovider", "inner"]


def test_in_process():
    assert pytest.main(INNER) == 0


def test_as_a_child():
    subprocess.run([sys.executable, "-m", "pytest", *INNER], check=True)


def test_as_a_child_with_workers():
    subprocess.run([sys.executable, "-m", "pytest", "-p", "xdist", "-n", "2", *INNER], check=True)


def test_without():
    delta.ask()
