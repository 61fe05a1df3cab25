import os

import httpx
import pytest
import requests


@pytest.fixture(scope="session")
def session():
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(os.environ["SHOP_SEARCH_URL"] + "/search?q=a").ok
        yield session


@pytest.fixture
def client():
    with httpx.Client(trust_env=False) as client:
        yield client
