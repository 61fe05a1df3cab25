import pytest
from hydraflow.fakes import FakeGitHub
from hydraflow.loops import GitHub, StagingLoop

pytestmark = pytest.mark.scenario_loops


def test_files_what_it_found():
    github = FakeGitHub()
    StagingLoop(github).tick()
    assert github.issues == ["promotion failed"]


def test_reaches_github():
    StagingLoop(GitHub()).tick()
