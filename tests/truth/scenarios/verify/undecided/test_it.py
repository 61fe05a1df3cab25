from contextlib import suppress

import pytest
from peers import alpha, beta, closed


def test_fails_in_any_case():
    alpha.ask()
    raise AssertionError


@pytest.fixture
def broken():
    raise RuntimeError


def test_error_in_any_case(broken):
    pass


def test_skipped_in_any_case():
    pytest.skip("not today")


@pytest.mark.xfail
def test_fails_as_expected():
    alpha.ask()
    raise AssertionError


def test_asserts_the_refusal():
    with pytest.raises(ConnectionRefusedError):
        alpha.ask()


def test_asserts_the_refusal_of_a_stopped_service():
    with pytest.raises(ConnectionRefusedError):
        closed.ask()


def answers():
    with suppress(ConnectionRefusedError):
        return alpha.ask()


def test_skipped_without_it():
    if not answers():
        pytest.skip("no alpha")


def test_expected_to_fail_without_it():
    if not answers():
        pytest.xfail("no alpha")


def test_other():
    beta.ask()
