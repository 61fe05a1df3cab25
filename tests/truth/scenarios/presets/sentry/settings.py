import os
from urllib.parse import urlsplit

server = urlsplit(os.environ["SHOP_POSTGRES_DSN"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "truth",
        "USER": server.username,
        "HOST": os.environ["SHOP_POSTGRES_SOCKET_DIR"],
        "PORT": server.port,
        "TEST": {"NAME": f"truth_{os.getpid()}"},
    }
}
INSTALLED_APPS = ["sentry"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
SENTRY_TSDB = "dummy"
