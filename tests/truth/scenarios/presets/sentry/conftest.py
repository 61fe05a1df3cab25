pytest_plugins = ["sentry.testutils.fixtures"]
