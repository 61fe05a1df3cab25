import subprocess
import sys
from pathlib import Path

import shop
from shop import reports


def test_low_stock(local_db):
    assert reports.low_stock(local_db, 5) == ["pot"]


def test_nothing_is_sent_over_the_network(local_db):
    assert local_db.execute("SELECT inet_client_addr()").fetchone() == (None,)


def test_command():
    command = [sys.executable, "-m", "shop.reports"]
    project = Path(shop.__file__).parents[1]
    report = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True)
    assert report.stdout == "pot\n"
