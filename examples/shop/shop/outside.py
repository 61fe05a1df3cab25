"""Smaller services: crash reports, payments, metrics, webhooks."""

import json
import socket
from urllib.request import ProxyHandler, Request, build_opener

from shop import settings


class Unavailable(Exception):
    """A service that the shop can do without is not available."""


def symbolicate(address):
    """The name of the function at an address of a crashed client."""
    try:
        with socket.create_connection(settings.SYMBOLICATOR, timeout=5) as connection:
            connection.sendall(f"{address:#x}\n".encode())
            return connection.recv(4096).decode().strip()
    except OSError as error:
        raise Unavailable("symbolicator") from error


def authorise(cents):
    """Ask the payment agent of this host for an amount."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
        try:
            agent.connect(settings.PAYMENTS_SOCKET)
        except OSError as error:
            raise Unavailable("payments") from error
        agent.sendall(f"AUTHORISE {cents}\n".encode())
        return agent.recv(64).startswith(b"OK")


def count(metric):
    """Add one to a statsd counter, without acknowledgement.

    Returns:
        The bytes that were sent.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        return datagrams.sendto(f"shop.{metric}:1|c".encode(), settings.STATSD)


def notify(url, event):
    """Send an event to a subscriber's webhook.

    Returns:
        The HTTP status of its answer.
    """
    request = Request(url, json.dumps(event).encode(), {"Content-Type": "application/json"})
    direct = build_opener(ProxyHandler({}))  # subscribers are inside our network: no proxy
    with direct.open(request, timeout=10) as response:
        return response.status
