import pytest
from django.test import override_settings
from sentry import tsdb
from sentry.testutils.cases import OutcomesSnubaTest


def test_dummy():
    assert tsdb.get_range() == []


@override_settings(SENTRY_TSDB="snuba")
def test_dispatched_by_a_setting():
    tsdb.get_range()


@pytest.mark.sentry_metrics
def test_metrics():
    pass


@pytest.mark.snuba
@override_settings(SENTRY_TSDB="snuba")
def test_marked():
    tsdb.get_range()


class OutcomesTest(OutcomesSnubaTest):
    def test_totals(self):
        pass
