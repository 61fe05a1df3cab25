import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def checked():
    subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "inner"], check=True)


def test_first(checked):
    pass


def test_second(checked):
    pass


def test_without():
    pass
