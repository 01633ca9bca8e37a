"""Destinations that are written wrongly, servers that hang, lie or talk nonsense, and what programs are told."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import BadInput, ChronosError, DeadlineExceeded, NotPossible
from engine.host.copying.base import Place, destination, place_of
from engine.host.copying.program import Program
from engine.host.copying.rclone import Rclone
from engine.host.copying.sftp import Sftp
from tests.host import sshd_rig
from tests.host.sshd_rig import program
from tests.tools import needs

NAME = "chronos-box-20260101T000000Z.zip"
BOX = Place("sftp", "backups", "box")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/mnt/backups", Place("directory", "/mnt/backups")),
        ("file:/mnt/with space", Place("directory", "/mnt/with space")),
        ("file:///mnt/backups", Place("directory", "/mnt/backups")),
        ("sftp://box", Place("sftp", ".", "box")),
        ("sftp://box/", Place("sftp", ".", "box")),
        ("sftp://box/in/home", Place("sftp", "in/home", "box")),
        ("sftp://box//srv/backups", Place("sftp", "/srv/backups", "box")),
        ("sftp://me@box.example:2222/b", Place("sftp", "b", "box.example", "me", 2222)),
        ("sftp://me@domain@box/b", Place("sftp", "b", "box", "me@domain")),
        ("sftp://[2001:db8::1]:22/b", Place("sftp", "b", "2001:db8::1", None, 22)),
        ("rclone:far:bucket/backups", Place("rclone", "bucket/backups", "far")),
        ("rclone:far drive:", Place("rclone", "", "far drive")),
    ],
)
def test_a_destination_is_read_as_it_is_documented(text: str, place: Place) -> None:
    assert place_of(text) == place


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("backups", "is relative"),
        ("../backups", "is relative"),
        ("file:backups", "is relative"),
        ("", "is relative"),
        ("s3://bucket", "unknown way to copy, 's3:'"),
        ("ftp://box/x", "unknown way to copy"),
        ("SFTP://box/x", "unknown way to copy"),
        ("sftp://-oProxyCommand=touch/x", "not a host"),
        ("sftp://me@-box/x", "not a host"),
        ("sftp://-me@box/x", "not a host"),
        ("sftp://box name/x", "not a host"),
        ("sftp:box/x", "not a host"),
        ("sftp:///x", "not a host"),
        ("sftp://box:0/x", "is no port"),
        ("sftp://box:70000/x", "is no port"),
        ("sftp://me:hunter2@box/x", "a password does not belong"),
        ("rclone:far", "not a remote of rclone"),
        ("rclone::s3,secret_access_key=hunter2:bucket", "not a remote of rclone"),
        ("rclone:far,token=hunter2:bucket", "not a remote of rclone"),
        ("rclone:-far:bucket", "not a remote of rclone"),
        ("/mnt/a\nb", "unprintable"),
        ("/mnt/a\udc80b", "unprintable"),
    ],
)
def test_what_is_no_destination_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as refusal:
        place_of(text)

    assert "hunter2" not in str(refusal.value)
    assert "\n" not in str(refusal.value)
    with pytest.raises(BadInput):
        destination(text, {})


@contextmanager
def silent_server() -> Iterator[int]:
    """A port where somebody answers the call and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in taken:
            connection.close()


@sshd_rig.NEEDED
def test_an_ssh_that_hangs_is_killed(tmp_path: Path) -> None:
    with sshd_rig.running_sshd(tmp_path / "rig") as rig, silent_server() as port:
        hung = Sftp(Place("sftp", ".", "box", None, port), rig.env, idle_s=0.5)

        with pytest.raises(DeadlineExceeded, match="ssh did not get on in time"):
            hung.check(NAME, 10, "")

        with pytest.raises(ProcessLookupError):
            os.kill(int((rig.folder / "ssh.pid").read_text()), 0)


@sshd_rig.NEEDED
def test_a_login_that_fails_and_a_host_that_changed_are_said_in_the_words_of_ssh(tmp_path: Path) -> None:
    with sshd_rig.running_sshd(tmp_path / "rig") as rig:
        far = destination("sftp://box/x", rig.env)
        (rig.folder / "known_hosts").write_text((rig.folder / "key.pub").read_text().join(["box ", ""]))
        with pytest.raises(NotPossible, match=r"box: Host key verification failed\."):
            far.check(NAME, 10, "")

        (rig.folder / "known_hosts").write_text(f"box {(rig.folder / 'host_key.pub').read_text()}")
        (rig.folder / "key.pub").write_text("")
        (rig.folder / "key").unlink()
        with pytest.raises(NotPossible, match="Permission denied"):
            far.check(NAME, 10, "")


@sshd_rig.NEEDED
def test_programs_see_none_of_our_secrets(tmp_path: Path) -> None:
    with sshd_rig.running_sshd(tmp_path / "rig") as rig:
        env = {**rig.env, "CHRONOS_SECRET_SMTP": "hunter2", "CREDENTIALS_DIRECTORY": "/run/hunter2", "OTHER": "kept"}

        destination("sftp://box/x", env).check(NAME, 10, "")

        seen = (rig.folder / "ssh.env").read_text()
        assert "OTHER=kept" in seen
        assert "hunter2" not in seen


SERVER = """#!{python}
import struct, sys
LIE = {lie!r}
data = bytes(range(256)) * 400
def read(n):
    got = sys.stdin.buffer.read(n)
    if len(got) < n: sys.exit(0)
    return got
def send(packet):
    sys.stdout.buffer.write(struct.pack(">I", len(packet)) + packet); sys.stdout.buffer.flush()
late = []
while True:
    packet = read(struct.unpack(">I", read(4))[0])
    kind, body = packet[0], packet[1:]
    number = body[:4]
    if kind == 1: send(b"\\x02" + struct.pack(">I", 3))
    elif kind == 3: send(b"\\x66" + number + struct.pack(">I", 1) + b"h")
    elif kind == 8: send(b"\\x69" + number + struct.pack(">IQ", 1, len(data)))
    elif kind == 4: send(b"\\x65" + number + struct.pack(">III", 0, 0, 0))
    elif kind == 5:
        at, size = struct.unpack(">QI", body[9:21])
        if LIE == "short": size = min(size, 1000)
        part = data[at:at + size]
        if LIE == "less": part = part[:0] if at else part
        if LIE == "more": part += b"x"
        if LIE == "other number": number = b"\\xff\\xff\\xff\\xff"
        answer = b"\\x67" + number + struct.pack(">I", len(part)) + part
        if not part: answer = b"\\x65" + number + struct.pack(">III", 1, 0, 0)
        if LIE == "cut": answer = answer[:7]
        if LIE == "kind": answer = b"\\x66" + answer[1:]
        if LIE == "reordered":
            late.append(answer)
            if len(late) == 4:
                while late: send(late.pop())
        else: send(answer)
"""
DATA = bytes(range(256)) * 400


def lying(tmp_path: Path, lie: str) -> Sftp:
    """A server that speaks SFTP in a way of its own."""
    return Sftp(BOX, program(tmp_path / "bin", "ssh", SERVER.format(python=sys.executable, lie=lie)), idle_s=3)


@pytest.mark.parametrize("lie", ["none", "short", "reordered"])
def test_answers_that_are_short_or_out_of_order_still_make_the_file(tmp_path: Path, lie: str) -> None:
    assert lying(tmp_path, lie).check(NAME, len(DATA), hashlib.sha256(DATA).hexdigest())


@pytest.mark.parametrize("lie", ["less", "more", "other number", "cut", "kind"])
def test_a_server_that_lies_is_refused_and_never_believed(tmp_path: Path, lie: str) -> None:
    try:
        assert not lying(tmp_path, lie).check(NAME, len(DATA), hashlib.sha256(DATA).hexdigest())
    except ChronosError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either way is fine, a defect is not


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/bin/sh\necho Welcome to the box, there is news; cat >/dev/null\n", "does not speak SFTP"),
        ("#!/bin/sh\nhead -c 4 /dev/zero; cat >/dev/null\n", "does not speak SFTP"),
        ("#!/bin/sh\nexit 7\n", "ssh ended with 7"),
        ("#!/bin/sh\nprintf 'one\\ntwo \\033[31m<red>\\n' >&2; exit 1\n", "two <red>"),
        ("#!/bin/sh\nyes | head -c 3000000 >&2; echo the end >&2; exit 1\n", "the end"),
    ],
)
def test_nonsense_instead_of_sftp_is_one_line(tmp_path: Path, script: str, words: str) -> None:
    path = tmp_path / "source"
    path.write_bytes(bytes(100))
    far = Sftp(BOX, program(tmp_path / "bin", "ssh", script), idle_s=20)

    with pytest.raises(NotPossible, match=words) as refusal:
        far.put(path, NAME)

    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400


@needs("yes")
def test_an_rclone_that_never_stops_talking_is_ended(tmp_path: Path) -> None:
    far = Rclone(Place("rclone", "x", "far"), program(tmp_path / "bin", "rclone", "#!/bin/sh\nexec yes\n"))

    assert not far.check(NAME, 10_000, "")


def test_a_program_that_complains_without_an_end_runs_into_its_limit(tmp_path: Path) -> None:
    env = program(tmp_path / "bin", "rclone", "#!/bin/sh\nyes >&2\n")

    with Program(["rclone"], env, limit_s=0.5) as child, pytest.raises(DeadlineExceeded, match="rclone did not get on"):
        child.receive(10)
