from __future__ import annotations

import pytest

from tracer.commands.stopping import check_goes_on
from tracer.errors import SvcTraceError


@pytest.mark.parametrize(
    "line",
    [
        "pytest -x",
        "pytest tests --exitfirst",
        "python -m pytest --maxfail 3",
        "coverage run -m pytest --maxfail=1 tests",
        "/venv/bin/pytest -vvx tests",
        "py.test -qxs",
        "env A=1 pytest --stepwise",
        "pytest --lf",
    ],
)
def test_a_session_that_ends_early_is_rejected(line: str) -> None:
    with pytest.raises(SvcTraceError, match="-") as raised:
        check_goes_on(line.split())
    assert raised.value.slug == "stops-early"
    assert raised.value.exit_code == 64


@pytest.mark.parametrize(
    "line",
    [
        "pytest",
        "sh -x run.sh",
        "python -x -m pytest tests",
        "pytest -rx -k x -n 2 -p xdist --ff",
        "pytest -- -x",
        "tox -e py311 -- -x",
        "pytest tests/x -vv",
    ],
)
def test_other_options_are_left_to_pytest(line: str) -> None:
    check_goes_on(line.split())
