import os

import sqlalchemy

url = os.environ["SHOP_POSTGRES_DSN"].replace("postgresql://", "postgresql+psycopg2://")
engine = sqlalchemy.create_engine(url, pool_pre_ping=True)  # connects when it is first used


def select():
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT 1")) == 1


def cut():
    """Have the server close the engine's connection."""
    with engine.connect() as connection:
        pid = connection.scalar(sqlalchemy.text("SELECT pg_backend_pid()"))
    other = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    with other.connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT pg_terminate_backend(:pid, 30000)"), {"pid": pid})
