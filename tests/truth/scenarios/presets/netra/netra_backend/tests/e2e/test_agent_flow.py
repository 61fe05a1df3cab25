from unittest.mock import Mock

import pytest
from test_framework.base_e2e_test import BaseE2ETest


@pytest.mark.e2e
class TestAgentFlow(BaseE2ETest):
    @pytest.mark.real_llm
    def test_optimizes(self, real_llm_fixture):
        self.send()
        real_llm_fixture.ask()

    def test_is_mocked(self):
        self.send = Mock()
        self.send()
