"""The clients: the name begins with the service, except that of paho, which connects to itself, too."""

import os
from functools import partial
from threading import Event

import nats
import obstore
import psqlpy
import pulsar
from cassandra.cluster import Cluster
from glide import GlideClient, GlideClientConfiguration, NodeAddress
from kazoo.client import KazooClient
from obstore.store import S3Store
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from paho.mqtt.client import Client as MqttClient
from paho.mqtt.enums import CallbackAPIVersion
from s3fs import S3FileSystem
from settled import settle
from workers import Client, LoopThread, OwnLoop


def address(name):
    host, _, port = os.environ[name].rpartition("/")[2].partition(":")
    return host, int(port)


class Cassandra:
    def __init__(self):
        host, port = address("TRUTH_CASSANDRA")
        quiet = {"schema_metadata_enabled": False, "token_metadata_enabled": False, "idle_heartbeat_interval": 0}
        self.cluster = Cluster([host], port, protocol_version=4, **quiet)
        self.session = self.cluster.connect(wait_for_all_pools=True)

    def use(self):
        assert self.session.execute("SELECT rack FROM system.local").one().rack == "one"

    def close(self):
        self.cluster.shutdown()


class Paho:
    def __init__(self):
        self.client = MqttClient(CallbackAPIVersion.VERSION2)
        self.client.connect(*address("TRUTH_MQTT"), keepalive=600)
        self.client.loop_start()

    def use(self):
        message = self.client.publish("orders", b"one", qos=1)
        message.wait_for_publish(30)
        assert message.is_published()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class OpenTelemetry:
    """A thread exports each span when it has ended."""

    def __init__(self):
        exported = self.exported = Event()

        class Exporter(OTLPSpanExporter):
            def export(self, spans):
                result = super().export(spans)
                exported.set()
                return result

        exporter = Exporter(f"http://{os.environ['TRUTH_OPENTELEMETRY']}/v1/traces")
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(
            BatchSpanProcessor(exporter, max_export_batch_size=1, schedule_delay_millis=600_000)
        )
        self.tracer = self.provider.get_tracer(__name__)

    def use(self):
        self.exported.clear()
        self.tracer.start_span("order").end()
        assert self.exported.wait(30)

    def close(self):
        self.provider.shutdown()


class Pulsar:
    def __init__(self):
        quiet = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
        self.client = pulsar.Client(f"pulsar://{os.environ['TRUTH_PULSAR']}", logger=quiet)
        self.producer = self.client.create_producer("orders")

    def use(self):
        self.producer.send(b"one")

    def close(self):
        self.client.shutdown()  # sends nothing


class Obstore:
    def __init__(self):
        self.store = S3Store(
            "bucket",
            endpoint=f"http://{os.environ['TRUTH_S3']}",
            access_key_id="key",
            secret_access_key="secret",
            client_options={"allow_http": True, "pool_idle_timeout": "600s"},
        )

    def use(self):
        obstore.put(self.store, "order", b"one")

    def close(self):
        del self.store


class S3fs:
    """It has one thread for the whole process."""

    def __init__(self):
        self.files = S3FileSystem(
            key="key",
            secret="secret",
            endpoint_url=f"http://{os.environ['TRUTH_S3']}",
            skip_instance_cache=True,
            config_kwargs={"connector_args": {"keepalive_timeout": 600}},
        )

    def use(self):
        self.files.pipe_file("bucket/order", b"one")

    def close(self):
        self.files.close_session(self.files.loop, self.files.s3)


class Kazoo:
    def __init__(self):
        self.client = KazooClient(os.environ["TRUTH_ZOOKEEPER"], timeout=600)
        self.client.start()

    def use(self):
        assert self.client.exists("/order")

    def close(self):
        self.client.stop()
        self.client.close()


class Nats:
    client = None

    async def ask(self):
        if self.client is None:
            self.client = await nats.connect(f"nats://{os.environ['TRUTH_NATS']}")
        await self.client.flush()

    async def close(self):
        await self.client.close()


class Glide:
    client = None

    async def ask(self):
        if self.client is None:
            node = NodeAddress(*address("SHOP_REDIS_URL"))
            self.client = await GlideClient.create(GlideClientConfiguration([node], request_timeout=30_000))
        assert await self.client.ping() == b"PONG"

    async def close(self):
        await self.client.close()


class Psqlpy:
    connection = None

    async def ask(self):
        if self.connection is None:
            self.connection = await psqlpy.connect(os.environ["SHOP_POSTGRES_DSN"])
        await self.connection.execute_batch("SELECT 1")  # without a prepared statement, which another thread ends later

    async def close(self):
        self.connection.close()
        del self.connection
        settle()  # another thread sends Terminate


CLIENTS = {
    "cassandra-driver": Cassandra,
    "nats-loop_thread": partial(Client, LoopThread, Nats),
    "opentelemetry-http": OpenTelemetry,
    "postgres-psqlpy": partial(Client, OwnLoop, Psqlpy),
    "pulsar-client": Pulsar,
    "redis-glide": partial(Client, OwnLoop, Glide),
    "s3-obstore": Obstore,
    "s3-s3fs": S3fs,
    "paho": Paho,
    "zookeeper-kazoo": Kazoo,
}
