"""The Kafka cluster of a scenario that needs `kafka`: the configuration of a client."""

import os

BROKERS = {"bootstrap.servers": os.environ["SHOP_KAFKA_BOOTSTRAP"].partition(",")[0]}
"""One of them: which of several a client asks first is its own choice."""
