import os

from peers import alpha, beta, delta, gamma


def in_child(function):
    child = os.fork()
    if child == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0) == (child, 0)


def test_cleared():
    os.environ.clear()
    os.environ["PYTEST_CURRENT_TEST"] = ""  # pytest itself insists on it
    alpha.ask()


def test_patched(monkeypatch):
    monkeypatch.setattr(os, "environ", {"PYTEST_CURRENT_TEST": ""})
    beta.ask()


def test_removed_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    gamma.ask()


def test_child_in_another_root(tmp_path):
    def go():
        os.chroot(tmp_path)
        os.chdir("/")
        os.closerange(3, 65536)
        delta.ask()

    in_child(go)


def test_child_as_nobody():
    def go():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        os.closerange(3, 65536)
        delta.ask()

    in_child(go)


def test_after():
    alpha.ask()
