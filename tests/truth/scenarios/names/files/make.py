"""Write test files with names that a repository had better not hold, then execute what is given."""

import os
import sys

SOURCE = """
import pytest
from peers import alpha, beta, gamma

alpha.ask()

@pytest.fixture(scope="module")
def wide():
    beta.ask()

def test_it(wide):
    gamma.ask(b"x" * {length})
"""
NAMES = (
    b"test_ space.py",
    b"test_'quote\".py",
    b"test_new\nline.py",
    "test_\U0001f600\xe9.py".encode(),
    b"test_not_utf8_\xff.py",
    b"test_\\n.py",
    b"test_[1].py",
    b"folder [a]/test_in.py",
)
os.mkdir(b"folder [a]")
for length, name in enumerate(NAMES, 1):
    with open(name, "w") as file:
        file.write(SOURCE.format(length=length))
os.execvp(sys.argv[1], sys.argv[1:])
