from heart import Heart
from peers import gamma

imported = Heart(gamma)


def test_requests(heartbeat, beat):
    beat("fixture")


def test_does_not(beat):
    beat("fixture")


def test_requests_too(heartbeat, beat):
    beat("fixture")


def test_configured(beat):
    beat("configured")


def test_imported():
    imported.beat()
