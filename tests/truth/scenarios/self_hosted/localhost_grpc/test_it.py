from concurrent.futures import ThreadPoolExecutor

import grpc


def test_asks():
    server = grpc.server(ThreadPoolExecutor(1))
    echo = grpc.unary_unary_rpc_method_handler(lambda message, context: message)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("echo.Echo", {"One": echo}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        assert channel.unary_unary("/echo.Echo/One")(b"ask", timeout=60) == b"ask"
    server.stop(None).wait()
