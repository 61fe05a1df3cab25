"""gRPC."""

import os
from pathlib import Path

import grpc
from addresses import CERTIFICATE
from temporalio.api.workflowservice.v1 import GetClusterInfoRequest
from temporalio.client import Client
from temporalio.service import TLSConfig


def trusted():
    return Path(CERTIFICATE).read_bytes()


def target(tls):
    return os.environ["TRUTH_GRPC_TLS" if tls else "TRUTH_GRPC"]


class Grpc:
    def __init__(self, tls=False):
        own = [("grpc.use_local_subchannel_pool", 1)]
        if tls:
            self.channel = grpc.secure_channel(target(tls), grpc.ssl_channel_credentials(trusted()), own)
        else:
            self.channel = grpc.insecure_channel(target(tls), own)
        self.method = self.channel.unary_unary("/echo.Echo/One")

    def use(self):
        assert self.method(b"one", timeout=30) == b"one"

    def close(self):
        self.channel.close()


class Temporal:
    client = None

    def __init__(self, tls=False):
        self.tls = tls

    async def ask(self):
        if self.client is None:
            tls = TLSConfig(server_root_ca_cert=trusted()) if self.tls else False
            self.client = await Client.connect(target(self.tls), tls=tls, keep_alive_config=None)
        await self.client.workflow_service.get_cluster_info(GetClusterInfoRequest())

    async def close(self):
        del self.client
