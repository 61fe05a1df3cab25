import subprocess
import sys

from peers import alpha, beta


def test_runs_another():
    alpha.ask()
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "inner.py"]
    subprocess.run(["unshare", "--time", "--monotonic", "1", "--fork", *pytest], check=True)


def test_after():
    beta.ask()
