import ctypes
import os
import subprocess
import sys
from pathlib import Path

from peers import alpha, beta, delta, gamma, stream

CLONE_NEWPID = 0x20000000
libc = ctypes.CDLL(None, use_errno=True)


def in_a_child(function, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_own_pids():
    program = "import os; from peers import alpha; assert os.getpid() == 1; alpha.ask()"
    subprocess.run(["unshare", "--pid", "--fork", sys.executable, "-c", program], check=True)


def test_own_network():
    program = """
import errno
from peers import beta
try:
    beta.connect()
except OSError as error:
    assert error.errno == errno.ENETUNREACH
"""
    subprocess.run(["unshare", "--net", sys.executable, "-c", program], check=True)


def test_new_pids_for_its_children():
    def first():
        assert os.getpid() == 1
        beta.ask()
        in_a_child(gamma.ask)

    def child():
        assert libc.unshare(CLONE_NEWPID) == 0
        alpha.ask()
        in_a_child(first)

    in_a_child(child)


def test_pytest_within(tmp_path):
    (tmp_path / "test_within.py").write_text("from peers import gamma\ndef test_within(): gamma.ask()\n")
    within = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(tmp_path)]
    for _ in range(2):
        subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", *within], cwd=str(tmp_path), check=True)


def test_joins_pids():
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        first.stdin.write(b".")
        first.stdin.flush()
        first.stdout.read(1)

        def child():
            with Path(f"/proc/{first.pid}/ns/pid_for_children").open() as namespace:
                assert libc.setns(namespace.fileno(), CLONE_NEWPID) == 0
            in_a_child(delta.ask)

        in_a_child(child)
        first.stdin.close()


def test_other_root():
    folder, name = os.path.split(stream.address)

    def child():
        os.chroot(folder)
        os.chdir("/")
        alpha.ask()
        stream.address = f"/{name}"
        stream.ask()

    in_a_child(child)


def test_own_mounts():
    folder, name = os.path.split(stream.address)
    program = f"from peers import stream; stream.address = '/mnt/{name}'; stream.ask()"
    mount_and_run = 'mount --bind "$0" /mnt && exec "$@"'
    subprocess.run(["unshare", "--mount", "sh", "-c", mount_and_run, folder, sys.executable, "-c", program], check=True)


def test_as_before():
    delta.ask()
