import pytest
from test_framework.base_e2e_test import BaseE2ETest


class TestEvents(BaseE2ETest):
    @pytest.mark.mission_critical
    def test_all_are_sent(self):
        self.send()
