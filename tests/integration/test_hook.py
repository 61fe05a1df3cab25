"""The hook in real pytests: the oldest supported and the newest, each in an environment of its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import Final

import pytest
from environments import environment_with, interpreter

from tracer.record.boundary import fifo as reading_end
from tracer.record.boundary.fifo import Fifo
from tracer.record.boundary.messages import (
    Close,
    Decoder,
    Facts,
    FixtureInstance,
    Hello,
    Interrupted,
    Message,
    Open,
    Packet,
    Phase,
    Report,
    Requires,
    Uses,
)
from tracer.record.boundary.svc_trace_hook import channel
from tracer.record.run_directory import RunDirectory
from tracer.trace.records import StaticFacts

OLDEST: Final = (
    "pytest==7.0.*",
    "pluggy==1.0.*",  # it has no new-style wrappers; pip would choose one that has
    "pytest-forked==1.4.*",
    "pytest-rerunfailures==10.*",
    "pytest-subtests==0.11.*",
)
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

Limits = tuple[int, int] | None  # of open files: soft, hard


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment that knows nothing of the tracer, and the folder of a run."""

    python: Path
    folder: RunDirectory

    def start(self, suite: Path, *options: str, fifo: Path | None, limits: Limits = None) -> subprocess.Popen[str]:
        """`pytest -W error` on a folder, within limits of its own; the hook is only there with a FIFO."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON", "SVC_"))}
        hooked = self.folder.hook_environment(kept) | {"SVC_TRACE_FIFO": str(fifo)}
        return subprocess.Popen(
            [self.python, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *options],
            cwd=suite,
            env=kept | (hooked if fifo else {}),
            preexec_fn=limits and partial(resource.setrlimit, resource.RLIMIT_NOFILE, limits),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, suite: Path, *options: str, fifo: Path | None, limits: Limits = None) -> tuple[int, str]:
        """The suite's exit status and output."""
        with self.start(suite, *options, fifo=fifo, limits=limits) as child:
            output, _ = child.communicate(timeout=120)
        return child.returncode, output


@pytest.fixture(scope="session")
def folder() -> Iterator[RunDirectory]:
    with RunDirectory() as made:
        yield made


@pytest.fixture(scope="session")
def newest(folder: RunDirectory) -> Environment:
    return Environment(environment_with(interpreter(MINORS[::-1]), NEWEST), folder)


@pytest.fixture(scope="session")
def oldest(folder: RunDirectory) -> Environment:
    return Environment(environment_with(interpreter(MINORS), OLDEST), folder)


@pytest.fixture(params=["oldest", "newest"])
def environment(request: pytest.FixtureRequest) -> Environment:
    chosen = request.getfixturevalue(request.param)
    assert isinstance(chosen, Environment)
    return chosen


@pytest.fixture(autouse=True)
def no_leaks(tmp_path: Path, folder: RunDirectory) -> Iterator[None]:
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

    def facts(self) -> dict[str, StaticFacts]:
        """Node id → its facts."""
        told = {message.number: message.facts for message in self.messages() if isinstance(message, Facts)}
        opened = [message for message in self.messages() if isinstance(message, Open) and message.kind == "test"]
        return {str(test.subject): told[test.facts or 0] for test in opened}

    def story(self, pid: int | None = None) -> list[str]:
        """The messages in words, a session's and the collections' left out: `-x` closes `x`.

        Of its phases a test tells only those after its setup, and how they went only if they did not pass.
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
                case Phase(_, phase):
                    lines.append(phase)
                case Interrupted(test):
                    lines.append(f"-{names[test]} interrupted")
                case Close(span):
                    lines.append(f"-{names.get(span, '?')}")  # whose opening may be lost
                case FixtureInstance(number, instance):
                    param = instance.param
                    names[number] = instance.name if param is None else f"{instance.name}[{param}]"
                case Report(_, phase, outcome):
                    lines.append(f"{phase} {outcome}")
                case Uses(test, instances):
                    lines.append(f"{names[test]} uses {' '.join(names[one] for one in instances)}")
                case Requires(instance, instances):
                    lines.append(f"{names[instance]} requires {' '.join(names[one] for one in instances)}")
        return [line for line in lines if line.lstrip("-") not in ("session", "collection")]


def run(
    environment: Environment, folder: Path, source: str, *options: str, conftest: str = "", limits: Limits = None
) -> Told:
    """Run one module of tests with the hook. All that it tells fits into the FIFO, so it is read at the end."""
    suite = folder / "suite"
    suite.mkdir()
    (suite / "conftest.py").write_text(dedent(conftest))
    (suite / "test_it.py").write_text("import os, pytest\n" + dedent(source), encoding="utf-8")
    decoder = Decoder()
    with Fifo(folder / "fifo") as fifo:
        status, output = environment.run(suite, *options, fifo=fifo.path, limits=limits)
        packets = decoder.feed(fifo.read())
    return Told(status, output, tuple(packets), decoder.lost, decoder.malformed)


def plain(name: str) -> list[str]:
    """The story of a test without fixtures that passes."""
    return [name, "call", "teardown", f"-{name}"]


def test_an_empty_test(environment: Environment, tmp_path: Path) -> None:
    told = run(environment, tmp_path, "def test_a(): pass\ndef test_b(): pass")
    assert told.story() == plain("test_a") + plain("test_b")
    assert (told.status, told.lost, told.malformed) == (0, 0, 0)
    first, *_ = told.messages()
    assert isinstance(first, Hello)
    assert first.worker is None
    opened = [message for message in told.messages() if isinstance(message, Open)]
    assert [message.kind for message in opened] == ["session", "collection", "test", "test"]
    assert opened[0].subject == str(tmp_path / "suite")
    assert opened[1].subject == "test_it.py"
    writes = [[type(message).__name__ for message in packet.messages] for packet in told.packets[-5:]]
    assert writes == [["Open"], ["Phase"], ["Phase"], ["Close"], ["Close"]]  # the last is the session's
    times = [message.ns for message in told.messages() if isinstance(message, Open | Phase | Close)]
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
        "TestIt::test_one",
        *("session_wide", "-session_wide", "module_wide", "module_wide requires session_wide", "-module_wide"),
        *("class_wide", "-class_wide", "own", "-own"),
        *("TestIt::test_one uses session_wide module_wide class_wide", "call"),
        *("teardown", "own", "-own", "-TestIt::test_one"),
        *("TestIt::test_two", "TestIt::test_two uses session_wide module_wide class_wide", "call"),
        *("teardown", "class_wide", "-class_wide", "-TestIt::test_two"),
        *("test_three", "test_three uses session_wide module_wide", "call"),
        # module_wide has no finalizer of its own
        *("teardown", "session_wide", "-session_wide", "-test_three"),
    ]
    made = [message.instance for message in told.messages() if isinstance(message, FixtureInstance)]
    instances = {instance.name: instance for instance in made}
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
        *("test_each[x]", "each[x]", "-each[x]", "test_each[x] uses each[x]"),
        *plain("test_each[x]")[1:],
        *("test_each[y]", "each[y]", "-each[y]", "test_each[y] uses each[y]"),
        *plain("test_each[y]")[1:],
        *("test_late", "call", "near", "far", "-far", "near requires far", "-near"),
        *("test_late uses near far", "teardown", "-test_late"),
        *("test_cached", "test_cached uses near", "call"),
        *("teardown", "far", "-far", "-test_cached"),
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
        *("test_first", "db", "-db", "db", "db requires db", "-db"),
        *("test_first uses db", *plain("test_first")[1:]),
        *("test_again", "db", "db requires db", "-db"),
        *("test_again uses db", *plain("test_again")[1:]),
        *("test_made", "make", "-make", "test_made uses make"),
        *("call", "teardown", "make", "-make", "-test_made"),
    ]
    uses = [message.instances for message in told.messages() if isinstance(message, Uses)]
    wide = [
        message.number
        for message in told.messages()
        if isinstance(message, FixtureInstance) and message.instance.scope == "session"
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
        "test_setup": ["setup failed"],
        "test_call": ["call failed"],
        "test_teardown": ["teardown failed"],
        "test_skip": ["call skipped"],
        "test_skipped": ["setup skipped"],
        "test_xfail": ["call xfailed"],
        "test_xpass": ["call xpassed"],
        "test_strict": ["call failed"],
    }
    failing = told.story()[: told.story().index("test_call")]
    assert failing == ["test_setup", "broken", "-broken", "setup failed", "teardown", "-test_setup"]


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
    name = next(message.instance.name for message in told.messages() if isinstance(message, FixtureInstance))
    assert "setUpClass" in name
    assert told.story() == [
        *("TestIt::test_one", name, f"-{name}", f"TestIt::test_one uses {name}"),
        *plain("TestIt::test_one")[1:],
        *("TestIt::test_two", f"TestIt::test_two uses {name}"),
        *("call", "teardown", name, f"-{name}", "-TestIt::test_two"),
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
    assert facts["test_it.py::test_front"].autouse == ("always",)
    assert facts["test_it.py::test_many[0]"].markers == ("parametrize", "filterwarnings")
    assert len([message for message in told.messages() if isinstance(message, Facts)]) == 2


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


INTERRUPTED = """
    def interrupt(where):
        if where == "%s": raise KeyboardInterrupt
    @pytest.fixture
    def own():
        interrupt("setup")
        yield
        interrupt("teardown")
    def test_a(own): interrupt("call")
    def test_b(): pass
"""
"""A suite whose first test is interrupted in a phase."""


@pytest.mark.parametrize(
    ("where", "rest"),
    [
        ("setup", []),
        ("call", ["call", "own", "-own"]),
        ("teardown", ["call", "teardown", "own", "-own"]),
    ],
)
def test_an_interrupted_suite_closes_all_spans(
    environment: Environment, tmp_path: Path, where: str, rest: list[str]
) -> None:
    told = run(environment, tmp_path, INTERRUPTED % where)
    assert told.status == 2
    assert told.story() == ["test_a", "own", "-own", *rest, "-test_a interrupted"]
    last = told.messages()[-1]
    assert isinstance(last, Close)
    assert last.span == next(message.span for message in told.messages() if isinstance(message, Open))


@pytest.mark.parametrize("where", ["setup", "call", "teardown"])
def test_an_interruption_that_became_a_report_is_none(environment: Environment, tmp_path: Path, where: str) -> None:
    """As under --pdb: pytest goes on."""
    told = run(
        environment,
        tmp_path,
        INTERRUPTED % where,
        "--pdb",
        "--pdbcls=conftest:Continues",
        conftest="""
        import pdb
        class Continues(pdb.Pdb):
            def interaction(self, *args, **kwargs): pass
        """,
    )
    assert told.status == 1, told.output
    assert [line for line in told.story() if "interrupted" in line or line.endswith("failed")] == [f"{where} failed"]
    assert told.story()[-4:] == plain("test_b")


def test_ctrl_c_interrupts_the_tests_of_all_threads(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        "@pytest.mark.parametrize('n', range(3))\ndef test_a(n): pass",
        conftest="""
        import threading, pytest
        all_are_set_up = threading.Barrier(4)
        @pytest.hookimpl(hookwrapper=True)
        def pytest_runtest_setup(item):
            yield
            all_are_set_up.wait()
            if item.name != "test_a[0]": threading.Event().wait()
        def pytest_runtestloop(session):
            def run(item):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            threads = [threading.Thread(target=run, args=(item,), daemon=True) for item in session.items]
            for thread in threads: thread.start()
            all_are_set_up.wait()
            threads[0].join()
            raise KeyboardInterrupt
        """,
    )
    assert told.status == 2, told.output
    ends = sorted(line for line in told.story() if line.startswith("-"))
    assert ends == ["-test_a[0]", "-test_a[1] interrupted", "-test_a[2] interrupted"]
    assert (told.lost, told.malformed) == (0, 0)


def test_conftest_wrappers_run_within_the_spans(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        "def test_a(): pass",
        conftest="""
        import os, pytest
        outermost = pytest.hookimpl(hookwrapper=True, tryfirst=True)
        @outermost
        def pytest_runtest_setup(): yield from noted("setup")
        @outermost
        def pytest_runtest_call(): yield from noted("call")
        @outermost
        def pytest_runtest_teardown(): yield from noted("teardown")
        def noted(phase):
            note(phase, "skipped")
            yield
            note(phase, "failed")
        def note(*words):
            with open(os.environ["SVC_TRACE_FIFO"], "a") as fifo:
                fifo.write('[0,1,1,0,[["report",0,"%s","%s"]]]\\n' % words)
        """,
    )
    assert told.story() == [
        *("test_a", "setup skipped", "setup failed", "call", "call skipped", "call failed"),
        *("teardown", "teardown skipped", "teardown failed", "-test_a"),
    ]


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
    during = ["call", *plain("test_inner"), "teardown"]
    assert story[story.index("call") :][: len(during)] == during
    assert (story[0], story[-1]) == ("test_outer", "-test_outer")
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
    assert outcomes == [(inner, "failed")]
    assert outer != inner


def test_tests_of_one_name_and_reports_of_another(environment: Environment, tmp_path: Path) -> None:
    told = run(
        environment,
        tmp_path,
        "def test_a(): assert 0",
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
    assert told.status == 1, told.output
    assert told.story() == ["test_a", "call", "call failed", "teardown", "-test_a"] * 2
    opened = [message.span for message in told.messages() if isinstance(message, Open) and message.kind == "test"]
    assert [message.test for message in told.messages() if isinstance(message, Report)] == opened


def test_the_first_failure_ends_the_suite(environment: Environment, tmp_path: Path) -> None:
    told = run(environment, tmp_path, "def test_a(): assert 0\ndef test_b(): pass", "-x")
    assert told.status == 1
    assert told.story() == ["test_a", "call", "call failed", "teardown", "-test_a"]


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
    logged = json.loads((tmp_path / "suite" / "logged").read_text())
    assert reports == {name: [one for one in ones if one[1] != "passed"] for name, ones in logged.items()}


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
    assert [line for line in stories if line.endswith("failed")] == ["call failed"]


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
    steps = ("test_a", "call", "setup failed", "call failed", "-test_a")
    assert [line for line in told.story() if line in steps] == [
        # All is logged after the teardown; the older plugin does not log a rerun's teardown.
        *("test_a", "-test_a", "setup failed"),
        *("test_a", "call", "-test_a", "call failed"),
        *("test_a", "call", "-test_a"),
    ]
    spans = [message.span for message in told.messages() if isinstance(message, Open) and message.kind == "test"]
    assert [message.test for message in told.messages() if isinstance(message, Report)] == spans[:2]


@pytest.mark.parametrize(
    ("environment", "mark"),
    [("oldest", ""), ("newest", ""), ("oldest", "@pytest.mark.forked")],  # no pytest-forked reports pytest 9's subtests
    indirect=["environment"],
)
def test_a_failed_subtest_fails_the_call_and_a_skipped_one_does_not_skip_it(
    environment: Environment, tmp_path: Path, mark: str
) -> None:
    told = run(
        environment,
        tmp_path,
        f"""
        {mark}
        def test_a(subtests):
            with subtests.test("bad"): assert 0
            with subtests.test("good"): pass
        {mark}
        def test_b(subtests):
            with subtests.test("good"): pass
            with subtests.test("not here"): pytest.skip("no")
            with subtests.test("known"): pytest.xfail("no")
        """,
    )
    reports = [message for message in told.messages() if isinstance(message, Report)]
    spans = {message.subject: message.span for message in told.messages() if isinstance(message, Open)}
    assert {(one.test, one.phase, one.outcome) for one in reports} == {
        (spans["test_it.py::test_a"], "call", "failed"),
    }, told.output


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
    "limit lowered": "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "descriptors closed, limit lowered": """
        import resource
        os.closerange(3, 4096)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        for _ in range(50): os.open(os.devnull, os.O_RDWR)
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
    assert told.story()[-4:] == plain("test_b")
    assert not [line for line in told.story() if line.endswith((" failed", " skipped"))]
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
    assert told.story()[-4:] == plain("test_b")
    times = [message.ns for message in told.messages() if isinstance(message, Open | Phase | Close)]
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
    assert told.story()[-4:] == plain("test_c")
    assert 0 < told.lost <= 4


def test_the_hook_keeps_off_the_low_descriptors(environment: Environment, tmp_path: Path) -> None:
    source = "def test_a():\n    low = os.open(os.devnull, os.O_RDONLY)\n    print('lowest', low)\n    os.close(low)"
    told = run(environment, tmp_path, source, "-s")
    _, bare = environment.run(tmp_path / "suite", "-s", fifo=None)
    lowest = [line for line in bare.splitlines() if "lowest" in line]
    assert len(lowest) == 1
    assert lowest == [line for line in told.output.splitlines() if "lowest" in line]


@pytest.mark.parametrize(
    ("limits", "lowest"),
    [
        ((20_000, 20_000), channel.HIGH),
        ((1024, 20_000), channel.HIGH),
        ((1024, channel.HIGH + 1), channel.HIGH),
        ((channel.HIGH, channel.HIGH + 10), channel.HIGH),
        ((1024, channel.HIGH), 200),
        ((64, 64), 32),
    ],
)
def test_the_descriptor_sits_as_high_as_it_can_and_is_told_from_others(
    environment: Environment, tmp_path: Path, limits: tuple[int, int], lowest: int
) -> None:
    told = run(
        environment,
        tmp_path,
        f"""
        import resource
        def ours():
            links = {{fd: os.path.realpath(f"/proc/self/fd/{{fd}}") for fd in os.listdir("/proc/self/fd")}}
            (found,) = [int(fd) for fd, name in links.items() if name == os.path.realpath(os.environ["SVC_TRACE_FIFO"])]
            return found
        def is_kept():
            assert {lowest} <= ours() < {lowest} + 10
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == {limits}
        def test_a():
            is_kept()
            os.close(ours())
        def test_b():
            is_kept()
            fd = ours()
            os.close(fd)
            if fd < {channel.HIGH}:
                other = os.open("somebody's", os.O_CREAT | os.O_WRONLY)
                os.dup2(other, fd)
        def test_c(): pass
        """,
        limits=limits,
    )
    assert told.status == 0, told.output
    assert told.story() == plain("test_a") + plain("test_b") + plain("test_c")
    assert (told.lost, told.malformed) == (0, 0)
    somebodys = tmp_path / "suite" / "somebody's"
    assert somebodys.exists() == (lowest < channel.HIGH)
    assert lowest >= channel.HIGH or somebodys.read_text() == ""


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


def test_with_plugin_autoload_off_it_is_loaded_by_name(environment: Environment, tmp_path: Path) -> None:
    hooked = environment.folder.hook_environment({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "pytester"})
    assert hooked["PYTEST_PLUGINS"] == "svc_trace_hook,pytester"
    (tmp_path / "test_it.py").write_text("def test_it(): pass")
    with Fifo(tmp_path / "fifo") as fifo:
        subprocess.run(
            [environment.python, "-m", "pytest", "-p", "no:cacheprovider"],
            cwd=tmp_path,
            env=hooked | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "SVC_TRACE_FIFO": str(fifo.path)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (hello, *_), *_ = (packet.messages for packet in Decoder().feed(fifo.read()))
    assert isinstance(hello, Hello)


@pytest.mark.parametrize("options", ["", "-I", "-E"])
def test_a_pytest_that_lost_the_path_runs_without_it(environment: Environment, tmp_path: Path, options: str) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(): pass")
    hooked = environment.folder.hook_environment({}) | {"PYTHONPATH": "src"}
    with Fifo(tmp_path / "fifo") as fifo:
        subprocess.run(
            [environment.python, *options.split(), "-m", "pytest", "-p", "no:cacheprovider"],
            cwd=tmp_path,
            env=hooked | {"SVC_TRACE_FIFO": str(fifo.path)},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        assert fifo.read() == b""


def test_a_hook_that_falls_silent_leaves_word(environment: Environment, tmp_path: Path) -> None:
    assert channel.OFF == reading_end.OFF
    (tmp_path / "test_it.py").write_text(
        "import gc\n"
        "def test_it():\n"
        "    channel = next(one for one in gc.get_objects() if type(one).__name__ == 'Channel')\n"
        "    channel.clock = None\n"
        "def test_again(): pass\n"
    )
    with Fifo(tmp_path / "fifo") as fifo:
        assert not fifo.silenced
        status, output = environment.run(tmp_path, fifo=fifo.path)
        assert (status, fifo.silenced) == (0, True), output


def test_the_hook_is_in_no_traceback(environment: Environment, tmp_path: Path) -> None:
    source = """
        @pytest.fixture
        def broken(): raise ValueError("at set-up")
        @pytest.fixture
        def breaks():
            yield
            raise ValueError("at tear-down")
        def test_set_up(broken): pass
        def test_tear_down(breaks): pass
        def test_call(): assert 0
    """
    told = run(environment, tmp_path, source)
    assert told.output.count("ValueError") >= 2
    assert "svc_trace_hook/" not in told.output
