"""Where the services are: read from the environment, with the defaults of a developer's machine."""

import os

POSTGRES_DSN = os.environ.get("SHOP_POSTGRES_DSN", "postgresql://postgres@127.0.0.1/shop")
POSTGRES_SOCKET_DIR = os.environ.get("SHOP_POSTGRES_SOCKET_DIR", "/var/run/postgresql")
POSTGRES_PORT = os.environ.get("SHOP_POSTGRES_PORT", "5432")
REDIS_URL = os.environ.get("SHOP_REDIS_URL", "redis://127.0.0.1:6379")
KAFKA_BOOTSTRAP = os.environ.get("SHOP_KAFKA_BOOTSTRAP", "127.0.0.1:9092")
KAFKA_TIMEOUT_S = float(os.environ.get("SHOP_KAFKA_TIMEOUT_S", "10"))  # how long an event may take
SEARCH_URL = os.environ.get("SHOP_SEARCH_URL", "http://127.0.0.9:9200")

SYMBOLICATOR = ("127.0.0.1", 3021)
STATSD = ("127.0.0.1", 8125)
PAYMENTS_SOCKET = "/run/shop-payments.sock"
