"""The hook in real pytests: the oldest supported and the newest, each in an environment of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest

from tracer.record.boundary import hook
from tracer.record.boundary.fifo import Fifo
from tracer.record.boundary.messages import (
    Close,
    Decoder,
    FactsTold,
    Hello,
    InstanceTold,
    Message,
    Open,
    Packet,
    Report,
    Requires,
    Uses,
)
from tracer.trace.records import PHASES

OLDEST: Final = ("pytest==7.0.*", "pytest-forked==1.4.*", "pytest-rerunfailures==10.*", "pytest-subtests==0.11.*")
NEWEST: Final = (
    "pytest",
    "pytest-forked",
    "pytest-rerunfailures",
    "pytest-xdist",
    "freezegun",
    "pyfakefs",
    "time-machine",
)
MINORS: Final = range(8, 15)  # of Python 3


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that knows nothing of the tracer, and a folder with nothing but the hook."""

    python: Path
    plugins: Path

    def start(self, suite: Path, *options: str, fifo: Path | None) -> subprocess.Popen[str]:
        """`pytest -W error` on a folder; the hook is only there with a FIFO."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON", "SVC_"))}
        hooked = {"PYTHONPATH": str(self.plugins), "PYTEST_PLUGINS": "svc_trace_hook", "SVC_TRACE_FIFO": str(fifo)}
        return subprocess.Popen(
            [self.python, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *options],
            cwd=suite,
            env=kept | (hooked if fifo else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, suite: Path, *options: str, fifo: Path | None) -> tuple[int, str]:
        """The suite's exit status and output."""
        with self.start(suite, *options, fifo=fifo) as child:
            output, _ = child.communicate(timeout=120)
        return child.returncode, output


def interpreter(minors: range) -> str:
    """The first of these Pythons that runs here and can make environments; else the one that runs this."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    for minor in minors:
        for python in (shutil.which(f"python3.{minor}"), *pyenv.glob(f"3.{minor}.*/bin/python")):
            if python is not None:
                probe = [python, "-c", "import ensurepip, sys; print(sys.executable)"]
                answer = subprocess.run(probe, capture_output=True, text=True, check=False)
                if answer.returncode == 0:
                    return answer.stdout.strip()
    return sys.executable


def environment_with(python: str, requirements: tuple[str, ...]) -> Path:
    """The interpreter of an environment, kept for a week, so that the newest stays new."""
    key = hashlib.sha256(repr((python, requirements, time.strftime("%Y-%W"))).encode()).hexdigest()[:16]
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "svc-trace-tests" / key
    if not kept.exists():
        making = kept.with_name(f"{key}-{os.getpid()}")
        subprocess.run([python, "-m", "venv", making], check=True)
        pip = (making / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check")
        subprocess.run([*pip, "install", *requirements], check=True)
        making.rename(kept)
    return kept / "bin/python"


@pytest.fixture(scope="session")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    shutil.copy(Path(hook.__file__), folder / "svc_trace_hook.py")
    return folder


@pytest.fixture(scope="session")
def newest(plugins: Path) -> Environment:
    return Environment(environment_with(interpreter(MINORS[::-1]), NEWEST), plugins)


@pytest.fixture(scope="session")
def oldest(plugins: Path) -> Environment:
    return Environment(environment_with(interpreter(MINORS), OLDEST), plugins)


@pytest.fixture(params=["oldest", "newest"])
def environment(request: pytest.FixtureRequest) -> Environment:
    chosen = request.getfixturevalue(request.param)
    assert isinstance(chosen, Environment)
    return chosen


@pytest.fixture(autouse=True)
def no_leaks(tmp_path: Path) -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, of which one is the listing's own
    yield
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert not [path for path in tmp_path.iterdir() if path.is_fifo()]


@dataclass(frozen=True, slots=True)
class Told:
    """What a run said, to the user and to the recorder."""

    status: int
    output: str
    packets: tuple[Packet, ...]
    lost: int
    malformed: int

    def messages(self, pid: int | None = None) -> list[Message]:
        return [message for packet in self.packets if pid in (None, packet.pid) for message in packet.messages]

    def pids(self) -> list[int]:
        return list(dict.fromkeys(packet.pid for packet in self.packets))

    def facts(self) -> dict[str, FactsTold]:
        """Node id → its facts."""
        told = {message.id: message for message in self.messages() if isinstance(message, FactsTold)}
        opened = [message for message in self.messages() if isinstance(message, Open) and message.kind == "test"]
        return {str(test.subject): told[test.facts or 0] for test in opened}

    def story(self, pid: int | None = None) -> list[str]:
        """The messages in words, a session's and the collections' left out: `-x` closes `x`.

        Phases only open: each ends where the next one opens or its test closes.
        """
        names: dict[int, str] = {}
        lines: list[str] = []
        for message in self.messages(pid):
            match message:
                case Open(span, _, kind, subject):
                    names[span] = {"test": str(subject).partition("::")[2], "fixture": names.get(subject, "")}.get(  # type: ignore[arg-type]
                        kind, kind
                    )
                    lines.append(names[span])
                case Close(span):
                    lines.append(f"-{names.get(span, '?')}")  # whose opening may be lost
                case InstanceTold(id=number, name=name, param=param):
                    names[number] = name if param is None else f"{name}[{param}]"
                case Report(_, phase, outcome):
                    lines.append(f"{phase} {outcome}")
                case Uses(test, instances):
                    lines.append(f"{names[test]} uses {' '.join(names[one] for one in instances)}")
                case Requires(instance, instances):
                    lines.append(f"{names[instance]} requires {' '.join(names[one] for one in instances)}")
        return [line for line in lines if line.lstrip("-") not in ("session", "collection")]


def run(environment: Environment, folder: Path, source: str, *options: str, conftest: str = "") -> Told:
    """Run one module of tests with the hook. All that it tells fits into the FIFO, so it is read at the end."""
    suite = folder / "suite"
    suite.mkdir()
    (suite / "conftest.py").write_text(dedent(conftest))
    (suite / "test_it.py").write_text("import os, pytest\n" + dedent(source), encoding="utf-8")
    decoder = Decoder()
    with Fifo(folder / "fifo") as fifo:
        status, output = environment.run(suite, *options, fifo=fifo.path)
        packets = decoder.feed(fifo.read())
    return Told(status, output, tuple(packets), decoder.lost, decoder.malformed)


PASSED: Final = ("setup passed", "call passed", "teardown passed")


def plain(name: str) -> list[str]:
    """The story of a test without fixtures."""
    return [name, *PHASES, f"-{name}", *PASSED]


def test_an_empty_test(environment: Environment, tmp_path: Path) -> None:
    told = run(environment, tmp_path, "def test_a(): pass\ndef test_b(): pass")
    assert told.story() == plain("test_a") + plain("test_b")
    assert (told.status, told.lost, told.malformed) == (0, 0, 0)
    first, *_ = told.messages()
    assert isinstance(first, Hello)
    assert first.worker is None
    opened = [message for message in told.messages() if isinstance(message, Open)]
    kinds = [message.kind for message in opened if message.kind not in PHASES]
    assert kinds[0] == "session"
    assert kinds[1:] == ["collection", "test", "test"]
    assert opened[0].subject == str(tmp_path / "suite")
    assert opened[1].subject == "test_it.py"
    writes = [[type(message).__name__ for message in packet.messages] for packet in told.packets[-6:]]
    assert writes == [
        ["Report"] * 3 + ["Open", "Open"],  # of the test before; the facts are the same
        ["Open"],
        ["Open"],
        ["Close"],
        ["Report"] * 3,
        ["Close"],  # of the session
    ]
    times = [message.ns for message in told.messages() if isinstance(message, Open | Close)]
    assert times == sorted(times)


def test_fixtures_of_every_scope(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        @pytest.fixture(scope="session")
        def session_wide(): yield
        @pytest.fixture(scope="module", autouse=True)
        def module_wide(session_wide): return 1
        @pytest.fixture(scope="class")
        def class_wide(request): request.addfinalizer(lambda: None)
        @pytest.fixture
        def own(): yield

        class TestIt:
            def test_one(self, class_wide, own): pass
            def test_two(self, class_wide): pass
        def test_three(): pass
        """,
    )
    assert told.story() == [
        *("TestIt::test_one", "setup"),
        *("session_wide", "-session_wide", "module_wide", "module_wide requires session_wide", "-module_wide"),
        *("class_wide", "-class_wide", "own", "-own"),
        *("TestIt::test_one uses session_wide module_wide class_wide", "call"),
        *("teardown", "own", "-own", "-TestIt::test_one", *PASSED),
        *("TestIt::test_two", "setup", "TestIt::test_two uses session_wide module_wide class_wide", "call"),
        *("teardown", "class_wide", "-class_wide", "-TestIt::test_two", *PASSED),
        *("test_three", "setup", "test_three uses session_wide module_wide", "call"),
        # module_wide has no finalizer of its own
        *("teardown", "session_wide", "-session_wide", "-test_three", *PASSED),
    ]
    instances = {message.name: message for message in told.messages() if isinstance(message, InstanceTold)}
    assert {name: (one.scope, one.node) for name, one in instances.items()} == {
        "session_wide": ("session", instances["session_wide"].node),
        "module_wide": ("module", "test_it.py"),
        "class_wide": ("class", "test_it.py::TestIt"),
        "own": ("function", "test_it.py::TestIt::test_one"),
    }
    assert instances["session_wide"].node in ("", ".")  # the session's own node id
    assert {one.baseid for one in instances.values()} == {"test_it.py"}


def test_parametrized_and_dynamic_fixtures(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        @pytest.fixture(scope="session")
        def far(): yield
        @pytest.fixture(scope="session")
        def near(request): request.getfixturevalue("far")
        @pytest.fixture(scope="module", params=["x", pytest.param(object(), id="y")])
        def each(request): pass

        @pytest.mark.parametrize(("a", "b"), [(1, 2)])
        def test_direct(a, b): pass
        def test_each(each): pass
        def test_late(request): request.getfixturevalue("near")
        def test_cached(near): pass
        """,
    )
    assert told.story() == [
        *plain("test_direct[1-2]"),
        *("test_each[x]", "setup", "each[x]", "-each[x]", "test_each[x] uses each[x]"),
        *plain("test_each[x]")[2:],
        *("test_each[y]", "setup", "each[y]", "-each[y]", "test_each[y] uses each[y]"),
        *plain("test_each[y]")[2:],
        *("test_late", "setup", "call", "near", "far", "-far", "near requires far", "-near"),
        *("test_late uses near far", "teardown", "-test_late", *PASSED),
        *("test_cached", "setup", "test_cached uses near", "call"),
        *("teardown", "far", "-far", "-test_cached", *PASSED),
    ]


def test_overridden_and_factory_fixtures(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        @pytest.fixture
        def db(db): pass
        @pytest.fixture(scope="session")
        def make(request): return lambda: request.addfinalizer(lambda: None)

        def test_first(db): pass
        def test_again(db): pass
        def test_made(make): make()
        """,
        conftest="""
        import pytest
        @pytest.fixture(scope="session")
        def db(): pass
        """,
    )
    assert told.story() == [
        *("test_first", "setup", "db", "-db", "db", "db requires db", "-db"),
        *("test_first uses db", *plain("test_first")[2:]),
        *("test_again", "setup", "db", "db requires db", "-db"),
        *("test_again uses db", *plain("test_again")[2:]),
        *("test_made", "setup", "make", "-make", "test_made uses make"),
        *("call", "teardown", "make", "-make", "-test_made", *PASSED),
    ]
    uses = [message.instances for message in told.messages() if isinstance(message, Uses)]
    wide = [
        message.id for message in told.messages() if isinstance(message, InstanceTold) and message.scope == "session"
    ]
    assert uses == [(wide[0],), (wide[0],), (wide[1],)]


def summary(output: str) -> list[str]:
    return [
        line for line in output.splitlines() if line.startswith(("PASSED", "FAILED", "ERROR", "SKIP", "XFAIL", "XPASS"))
    ]


def test_outcomes(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        @pytest.fixture
        def broken(): raise RuntimeError
        @pytest.fixture
        def breaks():
            yield
            raise RuntimeError

        def test_setup(broken): pass
        def test_call(): assert 0
        def test_teardown(breaks): pass
        def test_skip(): pytest.skip("no")
        @pytest.mark.skip(reason="no")
        def test_skipped(): pass
        @pytest.mark.xfail(reason="known")
        def test_xfail(): assert 0
        @pytest.mark.xfail(reason="known")
        def test_xpass(): pass
        @pytest.mark.xfail(reason="known", strict=True)
        def test_strict(): pass
        """,
        "-rA",
    )
    assert told.status == 1
    status, output = environment.run(tmp_path / "suite", "-rA", fifo=None)
    assert status == told.status
    assert summary(output) == summary(told.output)
    outcomes: dict[str, list[str]] = {}
    for line in told.story():
        if line.startswith("test_"):
            outcomes[line] = current = []
        elif " " in line:
            current.append(line)
    assert outcomes == {
        "test_setup": ["setup failed", "teardown passed"],
        "test_call": ["setup passed", "call failed", "teardown passed"],
        "test_teardown": ["setup passed", "call passed", "teardown failed"],
        "test_skip": ["setup passed", "call skipped", "teardown passed"],
        "test_skipped": ["setup skipped", "teardown passed"],
        "test_xfail": ["setup passed", "call xfailed", "teardown passed"],
        "test_xpass": ["setup passed", "call xpassed", "teardown passed"],
        "test_strict": ["setup passed", "call failed", "teardown passed"],
    }
    failing = told.story()[: told.story().index("test_call")]
    assert failing == [
        *("test_setup", "setup", "broken", "-broken"),
        *("teardown", "-test_setup", "setup failed", "teardown passed"),
    ]


def test_a_wide_fixture_that_fails_is_used_by_all_whom_it_fails(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        @pytest.fixture(scope="session")
        def down(): pytest.skip("not there")
        @pytest.fixture
        def through(down): pass

        def test_one(down): pass
        def test_two(through): pass
        @pytest.mark.skip(reason="it never asks")
        def test_skipped(down): pass
        class TestOther:
            @pytest.fixture
            def down(self): raise RuntimeError
            def test_namesake(self, down): pass
        """,
    )
    assert [line for line in told.story() if "uses" in line] == ["test_one uses down", "test_two uses down"]


def test_unittest_classes(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        import unittest
        class Base(unittest.TestCase): pass
        @pytest.mark.far
        class TestIt(Base):
            @classmethod
            def setUpClass(cls): pass
            def setUp(self): pass
            @pytest.mark.near
            def test_one(self): pass
            def test_two(self): pass
        """,
        conftest="def pytest_configure(config): [config.addinivalue_line('markers', name) for name in ('far', 'near')]",
    )
    name = next(message.name for message in told.messages() if isinstance(message, InstanceTold))
    assert "setUpClass" in name
    assert told.story() == [
        *("TestIt::test_one", "setup", name, f"-{name}", f"TestIt::test_one uses {name}"),
        *plain("TestIt::test_one")[2:],
        *("TestIt::test_two", "setup", f"TestIt::test_two uses {name}"),
        *("call", "teardown", name, f"-{name}", "-TestIt::test_two", *PASSED),
    ]
    facts = told.facts()
    bases = ("test_it.TestIt", "test_it.Base", "unittest.case.TestCase")
    assert [(one.path, one.markers, one.bases) for one in facts.values()] == [
        ("test_it.py", ("near", "far"), bases),
        ("test_it.py", ("far",), bases),
    ]


def test_facts_are_told_once(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        pytestmark = pytest.mark.filterwarnings("default")
        @pytest.fixture(autouse=True)
        def always(): pass
        @pytest.fixture
        def behind(): pass
        @pytest.fixture
        def front(behind): pass

        @pytest.mark.parametrize("n", range(5))
        def test_many(n): pass
        def test_front(front): pass
        def test_front_too(front): pass
        """,
    )
    facts = told.facts()
    assert facts["test_it.py::test_front"] == facts["test_it.py::test_front_too"]
    assert facts["test_it.py::test_front"].fixtures == ("always", "front", "behind")
    assert facts["test_it.py::test_many[0]"].markers == ("parametrize", "filterwarnings")
    assert len([message for message in told.messages() if isinstance(message, FactsTold)]) == 2


def test_a_module_that_cannot_be_collected(environment: Environment, tmp_path: Path) -> None:
    told = run(environment, tmp_path, "raise RuntimeError")
    assert told.status == 2
    spans = [message for message in told.messages() if isinstance(message, Open | Close)]
    assert [message.kind if isinstance(message, Open) else "-" for message in spans] == [
        "session",
        "collection",
        "-",
        "-",
    ]


@pytest.mark.parametrize(
    ("where", "rest"),
    [
        ("setup", ["-test_a"]),
        ("call", ["call", "own", "-own", "-test_a", "setup passed"]),
        ("teardown", ["call", "teardown", "own", "-own", "-test_a", "setup passed", "call passed"]),
    ],
)
def test_an_interrupted_suite_closes_all_spans(
    environment: Environment, tmp_path: Path, where: str, rest: list[str]
) -> None:
    told = run(
        environment,
        tmp_path,
        f"""
        def interrupt(where):
            if where == "{where}": raise KeyboardInterrupt
        @pytest.fixture
        def own():
            interrupt("setup")
            yield
            interrupt("teardown")
        def test_a(own): interrupt("call")
        def test_b(): pass
        """,
    )
    assert told.status == 2
    assert told.story() == ["test_a", "setup", "own", "-own", *rest]
    last = told.messages()[-1]
    assert isinstance(last, Close)
    assert last.span == next(message.span for message in told.messages() if isinstance(message, Open))


def test_conftest_wrappers_run_within_the_spans(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        "def test_a(): pass",
        conftest="""
        import os, pytest
        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_setup():
            note("skipped")
            yield
            note("failed")
        def note(word):
            with open(os.environ["SVC_TRACE_FIFO"], "a") as fifo:
                fifo.write('[0,1,1,0,[["report",0,"setup","%s",0]]]\\n' % word)
        """,
    )
    assert told.story() == ["test_a", "setup", "setup skipped", "setup failed", *plain("test_a")[2:]]


def test_pytest_within_a_test(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        def test_outer(pytester):
            pytester.makepyfile("def test_inner(): pass")
            assert pytester.runpytest_inprocess("-p", "no:cacheprovider").ret == 0
            assert pytester.runpytest_subprocess("-p", "no:cacheprovider").ret == 0
        """,
        conftest="pytest_plugins = 'pytester'",
    )
    assert told.status == 0, told.output
    outer, inner = told.pids()
    story = told.story(outer)
    between = story[story.index("call") : story.index("teardown", story.index("-test_inner")) + 1]
    assert between == ["call", *plain("test_inner"), "teardown"]
    assert told.story(inner) == plain("test_inner")
    assert told.lost == 0


def test_pytest_within_a_test_of_the_same_name(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        import sys
        def test_a(pytester):
            del sys.modules["test_it"]
            pytester.makepyfile(test_it="def test_a(): assert 0")
            assert pytester.runpytest_inprocess("-p", "no:cacheprovider").ret == 1
        """,
        conftest="pytest_plugins = 'pytester'",
    )
    assert told.status == 0, told.output
    opened = [message for message in told.messages() if isinstance(message, Open) and message.kind == "test"]
    assert [message.subject for message in opened] == ["test_it.py::test_a"] * 2
    outcomes = [(message.test, message.outcome) for message in told.messages() if isinstance(message, Report)]
    outer, inner = (message.span for message in opened)
    assert outcomes == [
        *((inner, outcome) for outcome in ("passed", "failed", "passed")),
        *[(outer, "passed")] * 3,
    ]


def test_tests_of_one_name_and_reports_of_another(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        "def test_a(): pass",
        conftest="""
        import pytest
        def pytest_collection_modifyitems(items):
            items += items
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_makereport():
            outcome = yield
            outcome.get_result().nodeid = "a name to be shown"
        """,
    )
    assert told.status == 0, told.output
    assert told.story() == plain("test_a") * 2


def test_the_first_failure_ends_the_suite(environment: Environment, tmp_path: Path) -> None:
    told = run(environment, tmp_path, "def test_a(): assert 0\ndef test_b(): pass", "-x")
    assert told.status == 1
    assert told.story() == [*plain("test_a")[:-3], "setup passed", "call failed", "teardown passed"]


def test_tests_in_threads(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        @pytest.mark.parametrize("n", range(60))
        def test_a(n): assert n % 7
        """,
        conftest="""
        import json, threading
        logged = {}
        def pytest_runtest_logreport(report):
            logged.setdefault(report.nodeid, []).append([report.when, report.outcome])
        def pytest_sessionfinish():
            with open("logged", "w") as file: json.dump(logged, file)
        def pytest_runtestloop(session):
            def run(items):
                for item in items:
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            threads = [threading.Thread(target=run, args=(session.items[n::3],)) for n in range(3)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            return True
        """,
    )
    assert told.lost == 0
    assert len({packet.tid for packet in told.packets}) == 4
    opened = [message for message in told.messages() if isinstance(message, Open) and message.kind == "test"]
    names = {message.span: str(message.subject) for message in opened}
    reports: dict[str, list[list[str]]] = {name: [] for name in names.values()}
    for message in told.messages():
        if isinstance(message, Report):
            reports[names[message.test]].append([message.phase, message.outcome])
    # pytest itself is not made for threads, and some of these fail for it.
    assert reports == json.loads((tmp_path / "suite" / "logged").read_text())


def test_xdist_workers_tell_and_the_controller_does_not(newest: Environment, tmp_path: Path) -> None:
    told = run(newest, tmp_path, "@pytest.mark.parametrize('n', range(6))\ndef test_a(n): assert n", "-n2")
    assert told.status == 1
    hellos = {packet.pid: packet.messages[0] for packet in told.packets if packet.seq == 0}
    workers = {hello.worker: pid for pid, hello in hellos.items() if isinstance(hello, Hello)}
    assert set(workers) == {None, "gw0", "gw1"}
    controller = told.messages(workers.pop(None))
    assert [type(message) for message in controller] == [Hello, Open, Close]
    stories = [line for pid in workers.values() for line in told.story(pid)]
    assert sorted(line for line in stories if line.startswith("test_a")) == [f"test_a[{n}]" for n in range(6)]
    assert stories.count("call failed") == 1
    assert stories.count("call passed") == 5


def test_reruns_are_attempts(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        tries = []
        @pytest.fixture(scope="module")
        def wide():
            tries.append(1)
            assert len(tries) > 1
            yield
        def test_a(wide):
            tries.append(1)
            assert len(tries) > 3
        """,
        "--reruns=3",
    )
    assert told.status == 0
    assert [line for line in told.story() if line.startswith(("call ", "setup "))] == [
        *("setup failed", "setup passed", "call failed", "setup passed", "call passed"),
    ]
    assert told.story().count("test_a") == 3


@pytest.mark.parametrize(
    ("environment", "mark"),
    [("oldest", ""), ("newest", ""), ("oldest", "@pytest.mark.forked")],  # no pytest-forked reports pytest 9's subtests
    indirect=["environment"],
)
def test_a_failed_subtest_fails_the_call(environment: Environment, tmp_path: Path, mark: str) -> None:
    told = run(
        environment,
        tmp_path,
        f"""
        {mark}
        def test_a(subtests):
            with subtests.test("bad"): assert 0
            with subtests.test("good"): pass
        def test_b(subtests):
            with subtests.test("good"): pass
        """,
    )
    assert [line for line in told.story() if line.startswith("call ")] == ["call failed", "call passed"]


def test_forked_tests_tell_everything_before_they_leave(oldest: Environment, tmp_path: Path) -> None:
    told = run(
        oldest,
        tmp_path,
        "def test_before(): pass\n@pytest.mark.forked\ndef test_a(): pass\ndef test_after(): pass",
    )
    assert told.status == 0, told.output
    parent, child = told.pids()
    assert told.story(parent) == plain("test_before") + plain("test_after")
    assert told.story(child) == plain("test_a")
    assert told.lost == 0


def test_a_fork_that_falls_through(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        def test_a():
            child = os.fork()
            if child:
                assert os.waitpid(child, 0) == (child, 0)
        def test_b(): pass
        """,
    )
    assert told.status == 0, told.output
    parent, child = told.pids()
    assert told.story(parent) == plain("test_a") + plain("test_b")
    assert told.story(child) == [*plain("test_b"), "-?"]  # its parent's session, which is not its to close
    assert isinstance(told.messages(child)[0], Hello)
    assert told.lost == 0


DISTURBANCES: Final = {
    "descriptors closed": "os.closerange(3, 4096)",
    "descriptors closed and reused": """
        os.closerange(3, 4096)
        for _ in range(300): os.open(os.devnull, os.O_RDWR)
        """,
    "environment cleared": "os.environ.clear(); os.environ['PYTEST_CURRENT_TEST'] = ''",
    "directory changed": "os.chdir('/')",
    "SIGPIPE set to its default": "import signal; signal.signal(signal.SIGPIPE, signal.SIG_DFL)",
    "calls patched": """
        import time, threading
        def refuse(*args): raise AssertionError
        for module, name in [(os, "getpid"), (os, "fstat"), (time, "monotonic_ns"), (threading, "get_native_id")]:
            request.getfixturevalue("monkeypatch").setattr(module, name, refuse)
        """,
    "write patched": "request.getfixturevalue('monkeypatch').setattr(os, 'write', None)",
}


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_nothing_a_test_does_disturbs_it(environment: Environment, tmp_path: Path, disturbance: str) -> None:
    body = dedent(DISTURBANCES[disturbance]).strip().replace("\n", "\n    ")
    told = run(
        environment,
        tmp_path,
        f"def test_a(request):\n    {body}\ndef test_b(): pass",
        "-s",
        "-p",
        "no:logging",
        "-p",
        "no:faulthandler",
    )
    assert told.status == 0, told.output
    assert told.story()[-8:] == plain("test_b")
    assert [line for line in told.story() if line.startswith(("setup ", "call ", "teardown "))] == [*PASSED * 2]
    assert (told.lost, told.malformed) == (0, 0)


FAKES: Final = {
    "freezegun": "import freezegun\n@freezegun.freeze_time('2001-01-01')\ndef test_a(): pass",
    "time-machine": "import time_machine\n@time_machine.travel(0, tick=False)\ndef test_a(): pass",
    "pyfakefs": "def test_a(fs): os.closerange(100, 4096)",
}


@pytest.mark.parametrize("fake", FAKES)
def test_faked_time_and_files_do_not_disturb_it(newest: Environment, tmp_path: Path, fake: str) -> None:
    told = run(newest, tmp_path, f"{FAKES[fake]}\ndef test_b(): pass", "-W", "default")
    assert told.status == 0, told.output
    assert told.story()[-8:] == plain("test_b")
    times = [message.ns for message in told.messages() if isinstance(message, Open | Close)]
    assert times == sorted(times)
    assert (told.lost, told.malformed) == (0, 0)


def test_exhausted_descriptors_lose_packets_and_no_more(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        """
        import resource
        held = []
        def test_a():
            os.closerange(100, 4096)
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
            with pytest.raises(OSError):
                while True: held.append(os.open(os.devnull, os.O_RDONLY))
        def test_b():
            while held: os.close(held.pop())
        def test_c(): pass
        """,
    )
    assert told.status == 0, told.output
    assert told.story()[-8:] == plain("test_c")
    assert 0 < told.lost <= 4


def test_the_hook_keeps_off_the_low_descriptors(environment: Environment, tmp_path: Path) -> None:
    source = "def test_a():\n    low = os.open(os.devnull, os.O_RDONLY)\n    print('lowest', low)\n    os.close(low)"
    told = run(environment, tmp_path, source, "-s")
    _, bare = environment.run(tmp_path / "suite", "-s", fifo=None)
    lowest = [line for line in bare.splitlines() if "lowest" in line]
    assert len(lowest) == 1
    assert lowest == [line for line in told.output.splitlines() if "lowest" in line]


def test_nobody_reads_any_more(environment: Environment, tmp_path: Path) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "test_it.py").write_text(
        dedent("""
        import signal, sys
        def test_before():
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            print("at the gate", flush=True)
            assert sys.stdin.read() == ""
        def test_after(): pass
        """)
    )
    with Fifo(tmp_path / "fifo") as fifo:
        child = environment.start(suite, "-s", fifo=fifo.path)
        assert child.stdout is not None
        assert any("at the gate" in line for line in child.stdout)
    with child:
        output, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert "2 passed" in output


def test_a_full_pipe_costs_a_second_and_no_more(environment: Environment, tmp_path: Path) -> None:
    source = "@pytest.mark.parametrize('n', range(150), ids=lambda n: str(n) + 'x' * 10_000)\ndef test_a(n): pass"
    began = time.monotonic()
    told = run(environment, tmp_path, source, "-q")
    between = time.monotonic()
    status, _ = environment.run(tmp_path / "suite", "-q", fifo=None)
    bare_s = time.monotonic() - between
    assert told.status == status == 0
    subjects = [message.subject for message in told.messages() if isinstance(message, Open)]
    assert sum(len(subject) for subject in subjects if isinstance(subject, str)) > 500_000
    assert told.packets[-1].seq < 4 * 150  # it was off before the end
    assert between - began < bare_s + 5


def test_weird_node_ids(environment: Environment, tmp_path: Path) -> None:
    ids = ["a\nb", '"\\', "\U0001f600", "\udc80", "x" * 10_000]
    source = f"@pytest.mark.parametrize('n', range(5), ids={ids!a})\ndef test_a(n): pass"
    unescaped = "disable_test_id_escaping_and_forfeit_all_rights_to_community_support=true"
    told = run(environment, tmp_path, source, "-q", "-o", unescaped)
    opened = [message.subject for message in told.messages() if isinstance(message, Open) and message.kind == "test"]
    assert opened == [f"test_it.py::test_a[{name}]" for name in ids]
    assert (told.lost, told.malformed) == (0, 0)


def test_it_does_nothing_without_its_fifo(environment: Environment, tmp_path: Path) -> None:
    told = run(environment, tmp_path, "def test_a(): pass")
    somebodys = tmp_path / "file"
    somebodys.write_text("")
    for path in (somebodys, tmp_path / "missing"):
        assert environment.run(tmp_path / "suite", fifo=path)[0] == told.status == 0
    assert somebodys.read_text() == ""
