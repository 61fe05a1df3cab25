import json
import os

import pytest
from _pytest.runner import runtestprotocol
from pids import fork


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Run the tests of test_runners.py each in a process of its own, with always the same pid."""
    if item.path.name != "test_runners.py":
        return None
    hook = item.config.hook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reading, writing = os.pipe()
    if fork() == 0:
        try:
            reports = runtestprotocol(item, log=False, nextitem=None)
            told = [hook.pytest_report_to_serializable(config=item.config, report=report) for report in reports]
            os.write(writing, json.dumps(told).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = json.load(pipe)
    os.wait()
    for data in told:
        report = hook.pytest_report_from_serializable(config=item.config, data=data)
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
