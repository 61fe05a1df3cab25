"""A minimal full-text search service: PUT /documents/ID stores a text, GET /search?q=WORD finds it.

Prints its URL on one line as soon as it listens, then serves until a signal ends it. It has its own loopback address,
so that the configuration can name it by host, on any port.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOST = "127.0.0.9"


class SearchHandler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.1, so that clients may keep their connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: without it, the second waits for the first's ACK
    documents: dict[str, str] = {}  # noqa: RUF012  one index for all connections

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        self.documents[self.path.rpartition("/")[2]] = self.rfile.read(length).decode()
        self.answer(201, {})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path != "/search":
            self.answer(404, {"error": f"no such resource: {url.path}"})
            return
        word = parse_qs(url.query)["q"][0].casefold()
        hits = [name for name, text in self.documents.items() if word in text.casefold().split()]
        self.answer(200, {"hits": sorted(hits)})

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Keep quiet."""


def main() -> None:
    # Not http.server's HTTPServer: it looks its address up in the DNS, to get a name that is not needed.
    with ThreadingTCPServer((HOST, 0), SearchHandler) as server:
        server.daemon_threads = True
        print(f"http://{HOST}:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
