import subprocess
import sys
from pathlib import Path

from peers import alpha


def test_itself():
    assert Path("/proc/self/setgroups").read_text() == "deny\n"  # as it is in a user namespace of this kind
    alpha.ask()


def test_child():
    program = [sys.executable, "-c", "from peers import beta; beta.ask()"]
    subprocess.run(["unshare", "--user", *program], check=True)
