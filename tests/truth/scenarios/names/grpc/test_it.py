import os

import grpc


def test_plain():
    options = [("grpc.default_authority", "plain.example.com")]
    with grpc.insecure_channel(os.environ["TRUTH_GRPC"], options) as channel:
        assert channel.unary_unary("/echo.Echo/One")(b"ask", timeout=60) == b"ask"
