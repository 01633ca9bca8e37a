"""One run's place on the disk: the data directory and its configuration, the environment of its processes, the logs."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.crash.evidence import Policy

REPOSITORY = Path(__file__).parents[2]
SECRET = "whsec_Y3Jhc2gtdGVzdC1zaWduaW5nLXNlY3JldC0wMTIz"
POLICY = Policy(first_ms=200, cap_ms=1_000, attempts=60, jitter=0.2, lease_ms=35_000)
SEATS = 4  # of each target
TARGETS = {"webhook": "hook", "email": "mail"}


@dataclass(frozen=True, slots=True)
class Site:
    """Where a run takes place. `disk` may be a file system of its own."""

    root: Path
    channels: tuple[str, ...] = ("webhook", "email")
    timeout_ms: int = 5_000
    policy: Policy = POLICY
    breaker: bool = True

    @property
    def disk(self) -> Path:
        return self.root / "disk"

    @property
    def data(self) -> Path:
        return self.disk / "data"

    @property
    def database(self) -> Path:
        return self.data / "chronos.db"

    @property
    def outside(self) -> list[Path]:
        return [self.root / name for name in ("home", "tmp", "cwd")]

    @property
    def targets(self) -> list[str]:
        return [TARGETS[channel] for channel in self.channels]

    def acks(self, number: int) -> Path:
        return self.root / f"acks-{number}"

    def all_acks(self) -> list[Path]:
        return sorted(path for path in self.root.glob("acks-*") if not path.suffix)

    def sink_logs(self) -> list[Path]:
        return sorted(self.root.glob("sink-*.jsonl"))

    @property
    def run_log(self) -> Path:
        return self.root / "run.jsonl"

    def prepare(self, *, smtp_port: int, http_port: int) -> None:
        """Make the directories, write the configuration and the plan."""
        for folder in [*self.outside, self.data]:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        config = self.data / "config.yaml"
        config.write_text(self._config(smtp_port, http_port), encoding="utf-8")
        config.chmod(0o600)
        policies = {name: asdict(self.policy) for name in self.targets}
        outside = [str(path) for path in self.outside]
        seats = SEATS * len(self.channels)
        self.log("plan", seats=seats, policies=policies, outside=outside, canaries=[SECRET.removeprefix("whsec_")])

    def _config(self, smtp_port: int, http_port: int) -> str:
        policy = self.policy
        retry = (
            f"{{first: {policy.first_ms}ms, cap: {policy.cap_ms}ms, attempts: {policy.attempts}, "
            f"jitter: {policy.jitter}}}"
        )
        common = f"timeout: {self.timeout_ms}ms, max_in_flight: {SEATS}, breaker: {str(self.breaker).lower()}"
        targets = {
            "webhook": f'{{channel: webhook, url: "http://127.0.0.1:{http_port}/ok", secret: "secret:hook"}}',
            "email": '{channel: email, to: ["op@example.org"]}',
        }
        lines = [
            "instance: box.example.org",
            f'smtp: {{host: 127.0.0.1, port: {smtp_port}, tls: none, from: "Box <ops@example.org>"}}',
            f"defaults: {{retry: {retry}, {common}}}",
            "targets:",
            *(f"  {TARGETS[channel]}: {targets[channel]}" for channel in self.channels),
        ]
        return "\n".join(lines) + "\n"

    def environment(self) -> dict[str, str]:
        """Return the environment of every process of ours: nothing of the tester's own, and the secret."""
        home, tmp, _ = (str(path) for path in self.outside)
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": home,
            "TMPDIR": tmp,
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CHRONOS_HTTP_ENABLED": "false",
            "CHRONOS_SECRET_HOOK": SECRET,
        }

    def log(self, event: str, **fields: Any) -> None:
        """Add a line to the run's own log, which the checker reads."""
        line = json.dumps({"event": event, "at_ms": time.time_ns() // 1_000_000, **fields})
        with self.run_log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
