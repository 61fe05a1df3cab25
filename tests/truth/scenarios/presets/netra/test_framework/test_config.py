TEST_PORTS = {"postgresql": 5434, "redis": 6381, "backend": 8000}
ALPINE_TEST_PORTS = {**TEST_PORTS, "redis": 6382}
DEV_PORTS = {"postgresql": 5432}
LLM_PORT = 443
