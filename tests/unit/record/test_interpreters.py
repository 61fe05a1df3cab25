"""Where a process has its Python."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path
from threading import Thread

from tracer.record.capture.bpf.interpreters import python_of


def test_a_fifo_in_place_of_a_library_is_not_waited_for(tmp_path: Path) -> None:
    ctypes.CDLL("libm.so.6")
    library = re.search(r"/\S*/libm\.so\.6$", Path("/proc/self/maps").read_text(), re.MULTILINE)
    assert library
    named = tmp_path / "libpython9.so"
    shutil.copy(library[0], named)
    with subprocess.Popen(
        ["cat"], env=os.environ | {"LD_PRELOAD": str(named)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"\n")
        assert process.stdout.readline() == b"\n"  # it has loaded the library
        named.unlink()
        os.mkfifo(tmp_path / "libpython9.so (deleted)")  # as /proc/PID/maps calls the file now
        found: list[object] = []
        looking = Thread(target=lambda: found.append(python_of(process.pid)), daemon=True)
        looking.start()
        looking.join(60)
        assert found == [None]
        process.stdin.close()
