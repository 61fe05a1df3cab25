"""Configuration of a Kafka client, for scenarios that need `kafka`."""

import os

BROKERS = {"bootstrap.servers": os.environ["SHOP_KAFKA_BOOTSTRAP"].partition(",")[0]}
"""Only one broker, because a client would choose among several at random."""
