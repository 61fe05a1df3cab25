"""`--must-run`, which the tests in virtual machines use: a skipped test fails the session."""

from __future__ import annotations

import machine
import pytest

pytest_plugins = ["pytester"]

PASSES = "def test_passes(): pass\n"
SKIPS = {
    "in its call": "import pytest\ndef test_skips(): pytest.skip('not here')\n",
    "by a marker": "import pytest\n@pytest.mark.skipif(True, reason='not here')\ndef test_skips(): pass\n",
    "with its module": "import pytest\npytest.skip('not here', allow_module_level=True)\n",
}
REQUIRES = "import pytest\ndef test_skips(): pytest.skip(REASON)\n"
FAILS_AS_EXPECTED = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_fails(): assert False\n"


def run(pytester: pytest.Pytester, text: str, *options: str) -> pytest.RunResult:
    """Run a test that passes, and another module."""
    pytester.makepyfile(test_first=PASSES, test_second=text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return pytester.runpytest_inprocess("-p", "must_run", *options)


@pytest.mark.parametrize("skips", SKIPS.values(), ids=SKIPS)
def test_a_skip_fails_the_session(skips: str, pytester: pytest.Pytester) -> None:
    assert run(pytester, skips).ret == pytest.ExitCode.OK
    result = run(pytester, skips, "--must-run")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*skipped, but had to run*", "test_second.py*"])


def test_a_skip_in_a_worker_fails_the_session(pytester: pytest.Pytester) -> None:
    result = run(pytester, SKIPS["in its call"], "--must-run", "-p", "xdist", "-n", "1")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*skipped, but had to run*", "test_second.py*"])


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "1")], ids=["alone", "xdist"])
def test_what_the_machine_may_lack_may_be_skipped(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    reason = machine.lacks("answers") or "before Linux 6.3"
    text = REQUIRES.replace("REASON", repr(reason))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(machine._LACKS, "answers", lambda: reason)
        may_lack = ("--must-run", "--may-lack", "answers", *workers)
        assert run(pytester, text, *may_lack).ret == pytest.ExitCode.OK
        assert run(pytester, SKIPS["in its call"], *may_lack).ret == pytest.ExitCode.TESTS_FAILED
        assert run(pytester, text, "--must-run", *workers).ret == pytest.ExitCode.TESTS_FAILED


def test_an_expected_failure_is_not_a_skip(pytester: pytest.Pytester) -> None:
    result = run(pytester, FAILS_AS_EXPECTED, "--must-run")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, xfailed=1)
