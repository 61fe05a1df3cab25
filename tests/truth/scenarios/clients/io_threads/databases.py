"""Databases."""

import os
import ssl
from pathlib import Path

import psqlpy
import redis
from addresses import CERTIFICATE, address, split
from cassandra.cluster import Cluster
from glide import (
    AdvancedGlideClientConfiguration,
    GlideClient,
    GlideClientConfiguration,
    NodeAddress,
    TlsAdvancedConfiguration,
)
from kazoo.client import KazooClient


class Cassandra:
    def __init__(self, tls=False):
        host, port = split("CASSANDRA", tls)
        quiet = {"schema_metadata_enabled": False, "token_metadata_enabled": False, "idle_heartbeat_interval": 0}
        patient = {"connect_timeout": 30, "control_connection_timeout": 30}
        context = ssl.create_default_context(cafile=CERTIFICATE) if tls else None
        self.cluster = Cluster([host], port, protocol_version=4, ssl_context=context, **quiet, **patient)
        self.session = self.cluster.connect(wait_for_all_pools=True)

    def use(self):
        assert self.session.execute("SELECT rack FROM system.local").one().rack == "one"

    def close(self):
        self.cluster.shutdown()


class Glide:
    client = None

    def __init__(self, tls=False):
        self.tls = tls

    async def ask(self):
        if self.client is None:
            trusted = TlsAdvancedConfiguration(root_pem_cacerts=Path(CERTIFICATE).read_bytes()) if self.tls else None
            configuration = GlideClientConfiguration(
                [NodeAddress(*split("REDIS", self.tls))],
                use_tls=self.tls,
                advanced_config=AdvancedGlideClientConfiguration(connection_timeout=30_000, tls_config=trusted),
                request_timeout=30_000,
            )
            self.client = await GlideClient.create(configuration)
        assert await self.client.ping() == b"PONG"

    async def close(self):
        await self.client.close()


class Kazoo:
    def __init__(self):
        self.client = KazooClient(address("ZOOKEEPER"), timeout=600)
        self.client.start()

    def use(self):
        assert self.client.exists("/order")

    def close(self):
        self.client.stop()
        self.client.close()


class Psqlpy:
    connection = None

    async def ask(self):
        if self.connection is None:
            self.connection = await psqlpy.connect(os.environ["SHOP_POSTGRES_DSN"])
        await self.connection.execute_batch("SELECT 1")  # without a prepared statement, which another thread ends later

    async def close(self):
        self.connection.close()
        del self.connection


class Redis:
    def __init__(self):
        self.client = redis.Redis.from_url(f"rediss://{address('REDIS', tls=True)}", ssl_ca_certs=CERTIFICATE)

    def ask(self):
        assert self.client.ping()

    def close(self):
        self.client.close()
