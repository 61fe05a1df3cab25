from unittest.mock import Mock

from hydraflow.loops import GitHub, StagingLoop


def test_opens_an_issue():
    prs = Mock()
    StagingLoop(prs).tick()
    prs.open_issue.assert_called_once()


def test_forgot_to_mock():
    StagingLoop(GitHub()).tick()
