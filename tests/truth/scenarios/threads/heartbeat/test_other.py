from test_it import imported


def test_imported_by_another_module():
    imported.beat()
