import pytest
from hydraflow.fakes import FakeGitHub
from hydraflow.loops import StagingLoop


@pytest.mark.integration
def test_is_mock_backed():
    StagingLoop(FakeGitHub()).tick()
