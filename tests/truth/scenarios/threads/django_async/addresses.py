"""Django's settings of the real servers."""

import os
from urllib.parse import urlsplit

_POSTGRES = urlsplit(os.environ["SHOP_POSTGRES_DSN"])

DATABASE = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": _POSTGRES.hostname,
    "NAME": _POSTGRES.path[1:],
    "PORT": _POSTGRES.port,
    "USER": _POSTGRES.username,
}
CACHE = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["SHOP_REDIS_URL"]}
