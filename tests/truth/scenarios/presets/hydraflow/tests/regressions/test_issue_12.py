from hydraflow.fakes import FakeGitHub


def test_has_no_issues():
    assert FakeGitHub().issues == []
