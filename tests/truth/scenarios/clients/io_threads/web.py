"""HTTP."""

from threading import Event

import httpx
import obstore
import requests
from addresses import CERTIFICATE, address
from botocore.session import Session
from obstore.store import S3Store
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from s3fs import S3FileSystem


def url(name, tls=True):
    return f"{'https' if tls else 'http'}://{address(name, tls)}"


SEARCH = url("SEARCH") + "/search?q=a"
HTTPX = {"trust_env": False, "verify": False, "limits": httpx.Limits(keepalive_expiry=600)}


def session():
    """A session of requests. It prefers the bundle of certificates that the environment names, if it is allowed to."""
    made = requests.Session()
    made.trust_env = False
    made.verify = CERTIFICATE
    return made


class Botocore:
    """What boto3's client is made of."""

    def __init__(self):
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        self.client = Session().create_client("s3", endpoint_url=url("S3"), verify=CERTIFICATE, **keys)

    def ask(self):
        assert self.client.get_object(Bucket="bucket", Key="order")["Body"].read() == b"one"

    def close(self):
        self.client.close()


class Httpx:
    def __init__(self):
        self.client = httpx.Client(**HTTPX)

    def ask(self):
        assert self.client.get(SEARCH).is_success

    def close(self):
        self.client.close()


class HttpxAsync:
    def __init__(self):
        self.client = httpx.AsyncClient(**HTTPX)

    async def ask(self):
        assert (await self.client.get(SEARCH)).is_success

    async def close(self):
        await self.client.aclose()


class Obstore:
    def __init__(self, tls=False):
        self.store = S3Store(
            "bucket",
            endpoint=url("S3", tls),
            access_key_id="key",
            secret_access_key="secret",
            client_options={"allow_http": True, "allow_invalid_certificates": tls, "pool_idle_timeout": "600s"},
        )

    def use(self):
        assert obstore.get(self.store, "order").bytes() == b"one"

    def close(self):
        del self.store


class OpenTelemetry:
    """A thread exports each span when it has ended."""

    def __init__(self, tls=False):
        exported = self.exported = Event()

        class Exporter(OTLPSpanExporter):
            def export(self, spans):
                result = super().export(spans)
                if result == SpanExportResult.SUCCESS:
                    exported.set()
                return result

        endpoint = url("OPENTELEMETRY", tls) + "/v1/traces"
        exporter = Exporter(endpoint, certificate_file=CERTIFICATE, session=session())
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


class Requests:
    def __init__(self):
        self.session = session()

    def ask(self):
        assert self.session.get(SEARCH).ok

    def close(self):
        self.session.close()


class S3fs:
    """It has one thread for the whole process."""

    def __init__(self, tls=False):
        self.files = S3FileSystem(
            key="key",
            secret="secret",
            endpoint_url=url("S3", tls),
            client_kwargs={"verify": CERTIFICATE},
            skip_instance_cache=True,
            config_kwargs={"connector_args": {"keepalive_timeout": 600}},
        )

    def use(self):
        assert self.files.cat_file("bucket/order") == b"one"

    def close(self):
        self.files.close_session(self.files.loop, self.files.s3)
