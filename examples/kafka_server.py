"""A Kafka cluster in one process: librdkafka's own mock brokers, which speak the real protocol on real sockets.

Prints the brokers' addresses on one line as soon as they listen, then runs until a signal ends it. The mock is part of
the library that confluent-kafka contains; its functions are declared in librdkafka's `rdkafka_mock.h`.
"""

from __future__ import annotations

import argparse
import ctypes
import signal

from confluent_kafka import cimpl

RD_KAFKA_PRODUCER = 0  # enum rd_kafka_type_t: either type may carry a cluster
PARTITIONS = 2


def librdkafka() -> ctypes.CDLL:
    """confluent-kafka's librdkafka: a symbol lookup in an extension also searches the libraries it is linked to."""
    library = ctypes.CDLL(cimpl.__file__)
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_conf_set.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
    library.rd_kafka_mock_topic_create.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.argtypes = [ctypes.c_void_p, ctypes.c_int32]
    library.rd_kafka_mock_group_initial_rebalance_delay_ms.restype = None
    return library


def start(brokers: int, topics: list[str]) -> str:
    """Start the cluster and create its topics, each replicated to all brokers. Lasts as long as the process.

    Returns:
        The bootstrap addresses: `host:port`, separated by commas.

    Raises:
        RuntimeError: librdkafka refused.
    """
    library = librdkafka()
    reason = ctypes.create_string_buffer(512)
    settings = library.rd_kafka_conf_new()  # rd_kafka_new takes it over
    library.rd_kafka_conf_set(settings, b"log_level", b"3", reason, len(reason))  # errors only: syslog(3)
    client = library.rd_kafka_new(RD_KAFKA_PRODUCER, settings, reason, len(reason))
    if not client:
        raise RuntimeError(f"librdkafka: {reason.value.decode()}")
    cluster = library.rd_kafka_mock_cluster_new(client, brokers)
    if not cluster:
        raise RuntimeError("librdkafka cannot start its mock brokers")
    for topic in topics:
        error = library.rd_kafka_mock_topic_create(cluster, topic.encode(), PARTITIONS, brokers)
        if error:
            raise RuntimeError(f"librdkafka cannot create the topic {topic}: error {error}")
    # By default, a group's first member waits three seconds for others to join.
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0)
    addresses: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
    return addresses.decode()


def main() -> None:
    parser = argparse.ArgumentParser(description="A Kafka cluster for tests, in one process.")
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("topics", nargs="*")
    arguments = parser.parse_args()
    print(start(arguments.brokers, arguments.topics), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
