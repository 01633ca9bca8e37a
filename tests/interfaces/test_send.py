"""`chronos send`, from outside."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pytest

from chronos_tui.actor import actor
from tests.interfaces.program import TIME_OUT_S, Box

UID = re.compile(r"msg_[0-9a-f]{12}7[0-9a-f]{19}\n")


def test_the_uid_stands_alone_on_stdout_and_the_message_is_stored(box: Box) -> None:
    sent = box.ok("send", "box", "--subject", "Grüße", "--text", "hallo")
    assert UID.fullmatch(sent.out)
    assert sent.err == ""
    shown = box.ok("outbox", "show", sent.out.strip(), "--body", "--json").json
    assert (shown["state"], shown["subject"], shown["content"]["text"]) == ("queued", "Grüße", "hallo")
    assert shown["queued_by"].startswith("cli:")


def test_json_is_one_document_of_four_keys(box: Box) -> None:
    document = box.ok("send", "box", "--text", "x", "--json").json
    assert set(document) == {"uid", "id", "state", "created"}
    assert (document["state"], document["created"]) == ("queued", True)


def test_common_options_mean_the_same_before_and_after_the_verb(box: Box) -> None:
    before = box.chronos("--json", "--quiet", "send", "box", "--text", "x")
    after = box.chronos("send", "box", "--text", "x", "--quiet", "--json")
    assert before.json["id"] == 1
    assert after.json["id"] == 2
    assert box.ok("outbox", "--json", "counts").json["queued"] == 2


def test_text_comes_from_stdin_and_from_a_file(box: Box, tmp_path: Path) -> None:
    (tmp_path / "report.txt").write_text("a file\n")
    first = box.ok("send", "box", "--text-file", "-", stdin="über stdin\n").out.strip()
    second = box.ok("send", "box", "--text-file", "report.txt", "--html-file", "-", stdin="<p>x</p>").out.strip()
    content = box.ok("outbox", "show", first, "--body", "--json").json["content"]
    assert content["text"] == "über stdin\n"
    content = box.ok("outbox", "show", second, "--body", "--json").json["content"]
    assert (content["text"], content["html"]) == ("a file\n", "<p>x</p>")


def test_the_same_key_and_content_is_the_first_message_and_other_content_a_conflict(box: Box) -> None:
    words = ("send", "box", "--idempotency-key", "nightly-1", "--text")
    first = box.ok(*words, "done")
    again = box.ok(*words, "done")
    assert again.out == first.out
    assert box.ok(*words, "done", "--json").json["created"] is False
    other = box.chronos(*words, "failed")
    assert (other.code, other.out) == (5, "")
    assert "nightly-1" in other.one_line


def test_every_option_arrives(box: Box, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "b ü.bin").write_bytes(b"\0\1")
    uid = box.send(
        "--subject", "s", "--data", '{"a": 1}', "--attach", "a.pdf", "b ü.bin",
        "--header", "X-One=1",
        "--header", "X-Two=b=c", "--priority", "urgent", "--tag", "nightly", "--tag", "box",
        "--on-uncertain", "ask", "--collapse-key", "c",
        "--ordering-key", "o", "--in", "2h", "--expires", "1h",
    )  # fmt: skip
    shown = box.ok("outbox", "show", uid, "--body", "--json").json
    assert (shown["priority"], shown["tags"], shown["on_uncertain"]) == ("urgent", ["box", "nightly"], "ask")
    assert (shown["collapse_key"], shown["ordering_key"]) == ("c", "o")
    assert [(one["name"], one["content_type"], one["size_bytes"]) for one in shown["attachments"]] == [
        ("a.pdf", "application/pdf", 4),
        ("b ü.bin", "application/octet-stream", 2),
    ]
    assert shown["content"]["headers"] == [{"name": "X-One", "value": "1"}, {"name": "X-Two", "value": "b=c"}]
    assert json.loads(shown["content"]["data"]) == {"a": 1}
    assert shown["created_at"] < shown["due_at"] < shown["expires_at"]


def test_data_comes_from_a_file_and_must_be_json(box: Box, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"ok": true}')
    uid = box.send("--data", "@body.json")
    assert box.ok("outbox", "show", uid, "--body", "--json").json["content"]["data"] == '{"ok": true}'
    assert box.chronos("send", "box", "--data", "{").code == 2
    assert box.chronos("send", "box", "--data", "@missing.json").code == 4


def test_a_time_without_a_zone_is_local(box: Box) -> None:
    uid = box.ok("send", "box", "--text", "x", "--at", "2099-01-01 12:00", TZ="Europe/Berlin").out.strip()
    assert box.ok("outbox", "show", uid, "--json").json["due_at"] == "2099-01-01T11:00:00.000Z"
    uid = box.send("--text", "x", "--at", "2099-01-01T12:00:00Z")
    assert box.ok("outbox", "show", uid, "--json").json["due_at"] == "2099-01-01T12:00:00.000Z"


def test_the_target_is_found_wherever_it_stands(box: Box, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    for words in (
        ("--attach", "a", "box"),
        ("--subject", "s", "box", "--attach", "a", "a"),
        ("--text", "x", "--wait=10ms", "box"),
    ):
        assert UID.fullmatch(box.chronos("send", *words).out), words
    # A --wait without a duration must not take the target for one.
    waiting = box.chronos("send", "--text", "x", "--wait", "nobody")
    assert waiting.code == 4
    assert "no target or route 'nobody'" in waiting.one_line


def test_waiting_for_what_nobody_delivers_ends_with_75_and_the_message_stays(box: Box) -> None:
    sent = box.chronos("send", "box", "--text", "x", "--wait", "50ms")
    assert sent.code == 75
    assert UID.fullmatch(sent.out)
    assert "nobody delivers here" in sent.one_line
    assert box.ok("outbox", "counts", "--json").json["queued"] == 1


def test_waiting_ends_with_0_when_it_is_delivered_and_1_when_it_is_dead(box: Box, tmp_path: Path) -> None:
    (tmp_path / "data" / "file").write_text("")
    box.configure(
        "defaults: {retry: {attempts: 1}}\n"
        "targets: {box: {channel: maildir, path: mail}, bad: {channel: maildir, path: file/mail, breaker: false}}\n"
    )
    with box.engine():
        good = box.ok("send", "box", "--text", "x", "--wait", "--json")
        assert good.json["state"] == "delivered"
        bad = box.chronos("send", "bad", "--text", "x", "--wait")
    assert bad.code == 1
    assert UID.fullmatch(bad.out)
    assert re.match(r"chronos: #2 is dead: .*; 'chronos outbox explain 2' tells more$", bad.one_line)
    assert len(list((tmp_path / "data" / "mail" / "new").iterdir())) == 1


def test_stdin_is_read_no_further_than_what_may_be_sent(box: Box) -> None:
    """An endless stdin would otherwise be read for ever, and 100 MB into memory."""
    with Path("/dev/zero").open("rb") as endless:
        sent = box.chronos("send", "box", "--text-file", "-", stdin=endless.fileno())
    assert (sent.code, sent.out) == (2, "")
    assert "stdin: more than outbox.max_message (32 MiB)" in sent.one_line
    assert sum(box.ok("outbox", "counts", "--json").json.values()) == 0


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("box", "--attach", "missing.pdf"), 4, "attachment missing.pdf: no such file"),
        (("box", "--attach", "."), 2, "is a directory"),
        (("box", "--attach", "fifo"), 2, "not a regular file"),
        (("box", "--attach", "huge"), 2, "more than outbox.max_message (32 MiB)"),
        (("box", "--attach", "20m", "--attach", "20m"), 2, "attachments: 20m, 20m: more than outbox.max_message"),
        (("box", "--text-file", "missing"), 4, "--text-file missing: no such file"),
        (("box", "--text-file", "latin1"), 2, "latin1, line 2: is not UTF-8 text"),
        (("box", "--text", "x", "--text-file", "-"), 2, "give one of them"),
        (("box", "--text-file", "-", "--html-file", "-"), 2, "stdin can be read only once"),
        (("box",), 2, "an empty message"),
        (("nobody", "--text", "x"), 4, "no target or route 'nobody'"),
        (("bxo", "--text", "x"), 4, "did you mean box?"),
        (("box", "--tex", "x"), 2, "unknown option --tex; did you mean --text?"),
        (("box", "--text", "x", "extra"), 2, "unexpected word 'extra'"),
        (("--text", "x"), 2, "TARGET"),
        (("box", "--text", "x", "--in", "soon"), 2, "'soon' is not a duration"),
        (("box", "--text", "x", "--at", "soon"), 2, "'soon' is not a time"),
        (("box", "--text", "x", "--at", "14:00", "--in", "1h"), 2, "not allowed with"),
        (("box", "--text", "x", "--priority", "top"), 2, "invalid choice: 'top'"),
        (("box", "--text", "x", "--header", "nothing"), 2, "write it like NAME=VALUE"),
        (("box", "--text", "x", "--tag", "two words"), 2, "tag 'two words'"),
        (("box", "--subject", "a\nBcc: b@example.org"), 2, "line break"),
        (("box", "--template", "weekly"), 5, "not available in this version"),
        (("telegram:1", "--text", "x"), 5, "not available in this version"),
    ],
    ids=lambda value: " ".join(value)[:30].replace("\n", " ") if isinstance(value, tuple) else None,
)
def test_bad_input_is_one_line_and_the_right_code(
    box: Box, tmp_path: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, size in (("huge", 1 << 40), ("20m", 20 << 20)):
        with (tmp_path / name).open("wb") as sparse:
            sparse.truncate(size)
    (tmp_path / "latin1").write_bytes("a\nü".encode("latin-1"))
    sent = box.chronos("send", *words)
    assert (sent.code, sent.out) == (code, ""), sent
    assert says in sent.one_line
    assert sent.err.startswith("chronos: ")


def test_words_that_are_not_utf8_are_refused(box: Box) -> None:
    command = [*map(os.fsencode, box.command("send", "box", "--subject")), b"\xff"]
    done = subprocess.run(command, env=box.env, capture_output=True, timeout=TIME_OUT_S, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--subject: is not UTF-8 text" in done.stderr


def test_a_caller_that_closed_stdout_still_gets_its_message_queued(box: Box) -> None:
    command = " ".join(box.command("send", "box", "--text", "x"))
    done = subprocess.run(["/bin/sh", "-c", f"{command} >&- 2>&-"], env=box.env, timeout=TIME_OUT_S, check=False)
    assert done.returncode == 0
    assert box.ok("outbox", "counts", "--json").json["queued"] == 1


HEAVY = {
    "argcomplete", "asyncio", "click", "cryptography", "dataclasses", "email", "inspect", "keyring", "logging",
    "loguru", "psutil", "pydantic", "requests", "rich", "ruamel", "schedule", "shutil", "smtplib", "sqlite_utils",
    "ssl", "subprocess", "textual", "yagmail",
}  # fmt: skip
LOADED = "import sys; from chronos_tui.commands import main; code = main({!r}); print(*sys.modules); sys.exit(code)"


def test_send_from_cron_loads_nothing_heavy(box: Box, tmp_path: Path) -> None:
    """The budget of `chronos send` is spent on imports. Without a file the configuration is cached at once."""
    (tmp_path / "data" / "config.yaml").unlink()
    words = ["--data-dir", str(box.data_dir), "send", f"maildir:{tmp_path}/mail", "--subject", "s", "--text", "t"]
    command = [sys.executable, "-c", LOADED.format(words)]
    for _ in range(2):  # the first writes the cache
        done = subprocess.run(command, env=box.env, capture_output=True, timeout=TIME_OUT_S, check=True, text=True)
    uid, modules = done.stdout.splitlines()
    assert UID.fullmatch(f"{uid}\n")
    loaded = {name.partition(".")[0] for name in modules.split()}
    assert loaded & HEAVY == set()
    ours = {name for name in modules.split() if name.startswith("chronos_tui.commands.")}
    assert ours <= {
        f"chronos_tui.commands.{name}" for name in ("catalogue", "output", "parsing", "send", "session", "times")
    }


def test_the_actor_is_the_uids_name_and_sudo_is_believed_from_root_only() -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    assert actor("cli", {}) == f"cli:{name}"
    assert actor("cli", {"SUDO_USER": "alice"}) == ("cli:root(sudo:alice)" if os.getuid() == 0 else f"cli:{name}")
    assert actor("cli", {"SUDO_USER": "a b\x1b[31m"}) == f"cli:{name}"


def test_a_uid_that_cannot_be_printed_is_said_with_the_error(box: Box) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            box.command("send", "box", "--text", "x"),
            env=box.env,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=TIME_OUT_S,
            check=False,
        )
    [queued] = box.ok("outbox", "list", "--json").json["messages"]
    assert done.returncode == 1
    assert done.stderr.decode().startswith(f"chronos: queued as {queued['uid']}, but stdout does not take the uid: ")
