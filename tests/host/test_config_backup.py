"""What the configuration says about backups is judged when it is read, not at three in the morning."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.channels.registry import options_model
from engine.errors import ConfigError
from engine.host.config.load import load
from engine.host.paths import paths
from engine.model import Settings

RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


def read(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    file.chmod(0o600)
    return load(paths(str(tmp_path), str(file), {"HOME": "/nowhere"}), {}, options_model, hostname="box.example.org")


def test_destinations_and_recipients_are_taken_as_they_are_written(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        f"backup:\n  encrypt_to: [{RECIPIENT}]\n  copy_to: [/mnt/b, 'sftp://box//srv/b', 'rclone:far:bucket']\n",
    )

    assert settings.backup["copy_to"] == ["/mnt/b", "sftp://box//srv/b", "rclone:far:bucket"]
    assert settings.backup["encrypt_to"] == [RECIPIENT]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "backup:\n  copy_to:\n    - /mnt/b\n    - s3://bucket/x\n",
            "config.yaml:2: backup.copy_to.1: unknown way to copy",
        ),
        ("backup:\n  copy_to:\n    - backups\n", "config.yaml:2: backup.copy_to.0: 'backups' is relative"),
        ("backup:\n  copy_to:\n    - sftp://me:hunter2@box/b\n", "config.yaml:2: backup.copy_to.0: a password"),
        (f"backup:\n  encrypt_to: [{RECIPIENT[:-1]}q]\n", "config.yaml:2: backup.encrypt_to.0: is no key of age"),
        (f"backup:\n  encrypt_to: [secret:a, {RECIPIENT}]\n", "config.yaml:2: backup.encrypt_to: a passphrase stands"),
    ],
)
def test_what_could_not_work_at_night_is_one_error_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        read(tmp_path, text)

    assert len(refusal.value.problems) == 1
    assert problem in refusal.value.problems[0]
    assert "hunter2" not in refusal.value.problems[0]
