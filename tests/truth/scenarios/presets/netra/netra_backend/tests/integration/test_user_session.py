from unittest.mock import Mock

import pytest
from test_framework.base_integration_test import BaseIntegrationTest
from test_framework.real_services_test_fixtures import client
from test_framework.test_config import ALPINE_TEST_PORTS


class TestUserSession(BaseIntegrationTest):
    @pytest.mark.integration
    @pytest.mark.real_services
    def test_persists(self, real_services_fixture):
        real_services_fixture["redis"].ask()

    @pytest.mark.integration
    def test_is_cached(self):
        client(ALPINE_TEST_PORTS["redis"]).ask()

    @pytest.mark.integration
    def test_is_stored(self, real_redis_fixture):
        """Asks for Redis and leaves it alone."""

    @pytest.mark.unit
    @pytest.mark.integration
    def test_of_two_categories(self):
        Mock().store()
