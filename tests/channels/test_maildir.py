"""Maildir: one message is one file, whatever crashes in between."""

from __future__ import annotations

import errno
import mailbox
import os
import subprocess
import sys
from email import message_from_bytes
from pathlib import Path

import pytest

from engine.channels.maildir import CHANNEL, MaildirChannel
from engine.errors import ConfigError, Sent
from engine.model import TargetSpec
from tests.channels import rig as r
from tests.channels.conformance import Conformance, Received, Rig

NAME = f"{r.CREATED_MS // 1000}.{r.UID}.chronos"


def open_at(path: Path | str, data_dir: Path | str = "/nonexistent") -> MaildirChannel:
    target = TargetSpec("archive", "maildir", {"path": str(path)})
    return CHANNEL.open(target, r.context(data_dir=str(data_dir)))


def files(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


class TestConformance(Conformance):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        def received() -> list[Received]:
            stored = (tmp_path / "mail" / "new").glob("*")
            return [Received(file.name, file.read_bytes()) for file in stored]

        (tmp_path / "file").write_text("in the way")
        return Rig(
            open=lambda: open_at(tmp_path / "mail"),
            delivery=lambda: r.delivery(attachments=r.FILES),
            received=received,
            open_silent=None,
            open_closed=lambda: open_at(tmp_path / "file"),
        )


def test_other_programs_read_what_was_stored(tmp_path: Path) -> None:
    open_at(tmp_path / "m").deliver(r.delivery(subject="Grüße", text="Straße\n", attachments=r.FILES))

    (message,) = mailbox.Maildir(tmp_path / "m", create=False)
    parsed = message_from_bytes(bytes(message))
    assert parsed["Message-ID"] == f"<{r.UID}@box.example.org>"
    assert [part.get_payload(decode=True) for part in parsed.walk() if part.get_filename()] == [
        file.content for file in r.FILES
    ]


def test_directories_are_private_and_so_are_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_at(tmp_path / "m").deliver(r.delivery())
    finally:
        os.umask(before)

    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "m", *(tmp_path / "m").rglob("*")]}
    assert modes == {"m": 0o700, "tmp": 0o700, "new": 0o700, "cur": 0o700, NAME: 0o600}


@pytest.mark.parametrize("seen_as", [f"new/{NAME}", f"cur/{NAME}", f"cur/{NAME}:2,S"])
def test_a_second_attempt_makes_no_second_copy(tmp_path: Path, seen_as: str) -> None:
    channel = open_at(tmp_path / "m")
    channel.deliver(r.delivery())
    (tmp_path / "m" / "new" / NAME).rename(tmp_path / "m" / seen_as)

    receipt = channel.deliver(r.delivery(attempt_no=2))

    assert files(tmp_path / "m") == [seen_as]
    assert "already" in receipt.detail


def test_a_half_written_file_of_a_killed_attempt_is_cleared_away(tmp_path: Path) -> None:
    channel = open_at(tmp_path / "m")
    channel.deliver(r.delivery(uid="msg_" + "1" * 32))
    (tmp_path / "m" / "tmp" / f"{NAME}.1").write_bytes(b"half of")

    channel.deliver(r.delivery(attempt_no=2))

    assert [name for name in files(tmp_path / "m") if r.UID in name] == [f"new/{NAME}"]


def test_a_relative_path_starts_in_the_data_directory(tmp_path: Path) -> None:
    open_at("inbox", data_dir=tmp_path).deliver(r.delivery())

    assert (tmp_path / "inbox" / "new" / NAME).exists()


def test_a_home_that_does_not_exist_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="no home directory"):
        open_at("~nobody-of-that-name/mail")


def test_a_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "thesis.txt").write_text("mine")

    error = r.failure(open_at(tmp_path / "documents"), r.delivery())

    assert error.sent is Sent.MISCONFIGURED
    assert files(tmp_path / "documents") == ["thesis.txt"]
    assert "no Maildir" in error.detail


def test_a_name_in_the_way_is_the_operators_to_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    error = r.failure(open_at(tmp_path / "file" / "m"), r.delivery())

    assert (error.sent, error.code) == (Sent.MISCONFIGURED, "ENOTDIR")


FILL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tests.channels.test_maildir import *
error = r.failure(open_at(sys.argv[1]), r.delivery())
print(error.sent, error.code)
"""


def test_a_file_that_cannot_grow_is_tried_again_and_leaves_nothing_behind(tmp_path: Path) -> None:
    # A file size limit is the full disk that needs no privileges: the write fails half-way with EFBIG.
    ended = subprocess.run(
        [sys.executable, "-c", FILL, str(tmp_path / "m")], capture_output=True, text=True, check=True
    )

    assert ended.stdout.split() == ["not_sent", errno.errorcode[errno.EFBIG]]
    assert files(tmp_path / "m") == []


def test_a_header_that_cannot_be_written_is_refused_for_good(tmp_path: Path) -> None:
    error = r.failure(open_at(tmp_path / "m"), r.delivery(subject="a\nBcc: x@example.org"))

    assert error.sent is Sent.REJECTED
    assert files(tmp_path / "m") == []
