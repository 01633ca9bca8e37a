"""The process keeps to itself; seen from a process of its own, because it changes the whole process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HARDENED = """
import json, os, resource, sys
from engine.host.process import harden
problems = harden()
open(sys.argv[1], "w").close()
import ctypes
print(json.dumps({
    "problems": problems,
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
    "mode": os.stat(sys.argv[1]).st_mode & 0o777,
    "light": not {"logging", "ssl", "json.tool"} & set(sys.modules),
}))
"""


def test_a_hardened_process_leaves_no_core_and_lets_nobody_attach(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", HARDENED, str(tmp_path / "file")], capture_output=True, text=True, check=True
    )

    assert json.loads(answer.stdout) == {"problems": [], "core": [0, 0], "dumpable": 0, "mode": 0o600, "light": True}
