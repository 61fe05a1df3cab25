"""The client of the search service."""

import json
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

from shop import settings


def query_path(words):
    return f"/search?{urlencode({'q': words})}"


class SearchClient:
    """Keeps one connection, opened by the first request."""

    def __init__(self):
        self.connection = HTTPConnection(urlsplit(settings.SEARCH_URL).netloc, timeout=10)

    def index(self, sku, text):
        self._request("PUT", f"/documents/{sku}", text.encode())

    def find(self, word):
        return self._request("GET", query_path(word))["hits"]

    def close(self):
        self.connection.close()

    def _request(self, method, path, body=None):
        self.connection.request(method, path, body)
        response = self.connection.getresponse()
        content = json.load(response)
        if response.status >= 400:
            raise RuntimeError(content["error"])
        return content
