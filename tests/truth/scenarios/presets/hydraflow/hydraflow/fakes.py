class FakeGitHub:
    def __init__(self):
        self.issues = []

    def open_issue(self, title):
        self.issues.append(title)
