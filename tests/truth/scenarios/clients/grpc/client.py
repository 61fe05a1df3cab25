"""What an application keeps: one channel for all, and a worker. Both begin with whoever asks first."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import grpc

TARGET, TLS_TARGET = os.environ["TRUTH_GRPC"], os.environ["TRUTH_GRPC_TLS"]
TIMES = 5


@lru_cache
def channel():
    return grpc.insecure_channel(TARGET)


@lru_cache
def worker():
    return ThreadPoolExecutor(1)


def ask(channel, times=1):
    method = channel.unary_unary("/echo.Echo/One")
    for _ in range(times):
        assert method(b"ask", timeout=60) == b"ask"
