import os
import subprocess

from peers import alpha, beta, gamma, stream

NOBODY = 65534


def as_nobody(function):
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            function()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_fork():
    as_nobody(alpha.ask)


def test_program():
    host, port = beta.address
    talk = f"exec 3<>/dev/tcp/{host}/{port}; printf ask >&3; read -r -N 3 answer <&3; test $answer$UID = ask{NOBODY}"
    subprocess.run(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "bash", "-c", talk], cwd="/", check=True
    )


def test_unix_socket():
    as_nobody(stream.ask)


def test_as_before():
    gamma.ask()
