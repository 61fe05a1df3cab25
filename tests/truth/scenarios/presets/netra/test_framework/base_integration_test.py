class BaseIntegrationTest:
    """Set-up and teardown; no service of its own."""
