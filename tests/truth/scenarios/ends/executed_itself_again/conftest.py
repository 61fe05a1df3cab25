import os
import sys

from peers import alpha


def pytest_configure():
    if os.environ.get("PYTHONHASHSEED") != "0":
        alpha.ask()
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, sys.orig_argv)
