from peers import Peer


class GitHub:
    def open_issue(self, title):
        Peer("443").ask(title.encode())


class StagingLoop:
    def __init__(self, prs):
        self.prs = prs

    def tick(self):
        self.prs.open_issue("promotion failed")
