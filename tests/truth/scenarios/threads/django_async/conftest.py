import django
import pytest
from addresses import CACHE, DATABASE
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"], CACHES={"default": CACHE}, DATABASES={"default": DATABASE}, ROOT_URLCONF="views", USE_TZ=True
)
django.setup()


@pytest.fixture(scope="session", autouse=True)
def database():
    from django.db import connection
    from models import Order

    with connection.schema_editor() as editor:
        editor.create_model(Order)
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Order)
    connection.close()
