import grpc
import pytest
from client import TARGET, ask


@pytest.fixture(scope="session")
def own_channel():
    with grpc.insecure_channel(TARGET, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        ask(channel)
        yield channel
