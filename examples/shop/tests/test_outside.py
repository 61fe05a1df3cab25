import errno
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from threading import Thread

import pytest
from shop import outside


def test_symbolicator_is_down():
    with pytest.raises(outside.Unavailable) as caught:
        outside.symbolicate(0xBEEF)
    assert caught.value.__cause__.errno == errno.ECONNREFUSED


def test_payment_agent_is_not_installed():
    with pytest.raises(outside.Unavailable) as caught:
        outside.authorise(790)
    assert caught.value.__cause__.errno == errno.ENOENT


def test_count():
    assert outside.count("checkouts") == len(b"shop.checkouts:1|c")


class Webhook(BaseHTTPRequestHandler):
    """A subscriber, as customers run them."""

    def do_POST(self):
        self.server.received.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(202)
        self.end_headers()

    def log_request(self, code="-", size="-"):
        pass


@pytest.fixture
def webhook():
    # Not http.server's HTTPServer: it looks its address up in the DNS.
    with TCPServer(("127.0.0.10", 0), Webhook) as server:
        server.received = []
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_webhook_is_notified(webhook):
    host, port = webhook.server_address
    assert outside.notify(f"http://{host}:{port}/orders", {"order": 1}) == 202
    assert webhook.received == [b'{"order": 1}']
