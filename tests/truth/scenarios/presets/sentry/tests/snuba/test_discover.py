from sentry.snuba import Dataset
from sentry.testutils.cases import APITestCase, SnubaTestCase


class DiscoverSavedQueryBase(APITestCase, SnubaTestCase):
    pass


class DiscoverSavedQueriesTest(DiscoverSavedQueryBase):
    """Asks Snuba in its set-up only, by a fixture of its base's base."""

    def test_get(self):
        pass


def test_dataset():
    assert Dataset.name == "events"
