pytest_plugins = ["test_framework.real_services_test_fixtures"]
