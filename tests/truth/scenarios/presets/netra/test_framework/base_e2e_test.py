from test_framework.real_services_test_fixtures import client
from test_framework.test_config import TEST_PORTS


class BaseE2ETest:
    def send(self):
        """By the WebSocket client."""
        return client(TEST_PORTS["backend"]).ask()
