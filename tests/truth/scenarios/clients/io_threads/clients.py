"""The clients: the name begins with the service, except those of paho, which also connect to themselves."""

from functools import partial

from databases import Cassandra, Glide, Kazoo, Psqlpy, Redis
from messages import Paho, Pulsar
from rpc import Grpc, Temporal
from web import Botocore, Httpx, HttpxAsync, Obstore, OpenTelemetry, Requests, S3fs
from workers import Client, LoopThread, OwnLoop, Pool

CLIENTS = {
    "cassandra-driver": Cassandra,
    "cassandra_tls-driver": partial(Cassandra, tls=True),
    "grpc-grpcio": Grpc,
    "grpc-temporalio": partial(Client, OwnLoop, Temporal),
    "grpc_tls-grpcio": partial(Grpc, tls=True),
    "grpc_tls-temporalio": partial(Client, OwnLoop, partial(Temporal, tls=True)),
    "opentelemetry-http": OpenTelemetry,
    "opentelemetry_tls-http": partial(OpenTelemetry, tls=True),
    "paho": Paho,
    "paho_tls": partial(Paho, tls=True),
    "postgres-psqlpy": partial(Client, OwnLoop, Psqlpy),
    "pulsar-client": Pulsar,
    "redis-glide": partial(Client, OwnLoop, Glide),
    "redis_tls-glide": partial(Client, OwnLoop, partial(Glide, tls=True)),
    "redis_tls-pool": partial(Client, Pool, Redis),
    "s3-obstore": Obstore,
    "s3-s3fs": S3fs,
    "s3_tls-botocore": partial(Client, Pool, Botocore),
    "s3_tls-obstore": partial(Obstore, tls=True),
    "s3_tls-s3fs": partial(S3fs, tls=True),
    "search_tls-httpx": partial(Client, Pool, Httpx),
    "search_tls-httpx_async": partial(Client, LoopThread, HttpxAsync),
    "search_tls-requests": partial(Client, Pool, Requests),
    "zookeeper-kazoo": Kazoo,
}
