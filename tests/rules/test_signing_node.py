"""Standard Webhooks with the package from npm: it verifies what we sign, and we verify what it signs."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from engine.rules.signing import BadSignature, decode_secret, sign, verify
from tests.support import SKIP_NOTHING

ROUNDS = int(os.environ.get("CHRONOS_TESTS_SIGNATURES", "300"))
_WHERE = Path(tempfile.gettempdir()) / f"chronos-tests-node-{os.getuid()}"
_TIME_OUT_S = 100
_SCRIPT = """
const { Webhook } = require("standardwebhooks");
const rows = JSON.parse(require("fs").readFileSync(0));
process.stdout.write(JSON.stringify(rows.map((row) => {
  const body = Buffer.from(row.body, "base64").toString();
  const hook = new Webhook(row.secret);
  const headers = {"webhook-id": row.id, "webhook-timestamp": String(row.at), "webhook-signature": row.signature};
  let right = true;
  try { hook.verify(body, headers, {jsonParse: false}); } catch { right = false; }
  return {right, signature: hook.sign(row.id, new Date(row.at * 1000), body)};
})));
"""


@pytest.fixture(scope="module")
def package() -> Path:
    """A directory with the package, kept between runs."""
    if not (shutil.which("node") and shutil.which("npm")):
        if SKIP_NOTHING:
            pytest.fail("node and npm are missing; install nodejs and npm")
        pytest.skip("node and npm are not installed")
    _WHERE.mkdir(mode=0o700, exist_ok=True)
    if not (_WHERE / "node_modules" / "standardwebhooks").is_dir():
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "standardwebhooks@1"]
        done = subprocess.run(command, cwd=_WHERE, capture_output=True, timeout=_TIME_OUT_S, check=False)
        if done.returncode and not SKIP_NOTHING:
            pytest.skip("npm cannot reach its registry")
        assert done.returncode == 0, done.stderr.decode()
    return _WHERE


def test_the_package_from_npm_and_we_agree(package: Path) -> None:
    rng, now = random.Random(20_261_123), int(time.time())
    rows: list[dict[str, Any]] = []
    for number in range(ROUNDS):
        secret = f"whsec_{base64.b64encode(rng.randbytes(rng.randrange(1, 64))).decode()}"
        body = rng.randbytes(rng.randrange(0, 300)).decode("latin-1").encode()
        at = now + rng.randrange(-60, 60)
        signature = sign(decode_secret(secret), f"msg_{number}", at, body)
        if number % 10 == 9:
            body += b"!"  # every tenth was changed on its way
        encoded = base64.b64encode(body).decode()
        rows.append({"secret": secret, "id": f"msg_{number}", "at": at, "body": encoded, "signature": signature})
    command = ["node", "-e", _SCRIPT]
    done = subprocess.run(
        command, cwd=package, input=json.dumps(rows).encode(), capture_output=True, timeout=_TIME_OUT_S, check=True
    )
    answers = json.loads(done.stdout)
    assert [answer["right"] for answer in answers] == [number % 10 != 9 for number in range(ROUNDS)]
    for row, answer in zip(rows, answers, strict=True):
        body, key = base64.b64decode(row["body"]), decode_secret(row["secret"])
        headers = {"webhook-id": row["id"], "webhook-timestamp": str(row["at"])}
        assert verify([key], {**headers, "webhook-signature": answer["signature"]}, body, now, 300) == row["id"]
        with pytest.raises(BadSignature):
            verify([key], {**headers, "webhook-signature": answer["signature"]}, body + b" ", now, 300)
