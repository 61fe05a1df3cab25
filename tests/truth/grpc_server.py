"""A real gRPC server, in plain text and over TLS. Each method returns the request.

`python grpc_server.py CERTIFICATE KEY` prints both addresses as one line of JSON and serves until its stdin ends.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

HOST = "127.0.0.1"


class Echo(grpc.GenericRpcHandler):
    """Handles methods of any name. One whose name ends with `Stream` answers each message of a stream."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        if handler_call_details.method.endswith("Stream"):
            return grpc.stream_stream_rpc_method_handler(echo_all)
        return grpc.unary_unary_rpc_method_handler(echo)


def echo(request: bytes, _context: grpc.ServicerContext) -> bytes:
    """Answer one message."""
    return request


def echo_all(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
    """Answer each message of a stream."""
    yield from requests


def main() -> None:
    """Serve until stdin ends."""
    certificate, key = (Path(path).read_bytes() for path in sys.argv[1:])
    server = grpc.server(ThreadPoolExecutor(4), handlers=[Echo()])
    plain = server.add_insecure_port(f"{HOST}:0")
    tls = server.add_secure_port(f"{HOST}:0", grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    print(json.dumps({"plain": f"{HOST}:{plain}", "tls": f"{HOST}:{tls}"}), flush=True)
    sys.stdin.buffer.read()
    server.stop(None).wait()


if __name__ == "__main__":
    main()
