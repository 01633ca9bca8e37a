"""pause, resume, holds, target, audit, config, status, health, doctor, log, completion: from outside."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interfaces.program import TIME_OUT_S, Box, started


def test_a_pause_is_shown_and_ends(box: Box) -> None:
    hold = box.ok("pause", "channel:maildir", "--for", "30m", "--reason", "moving", "--json").json
    assert set(hold) == {"scope", "since", "until", "reason", "by"}
    assert box.ok("holds", "--json").json == {"holds": [hold]}
    assert "moving" in box.ok("holds").out
    assert "channel:maildir" in box.ok("status").out
    assert box.ok("resume", "channel:maildir", "--json").json == {"ended": ["channel:maildir"]}
    assert box.ok("holds", "--json").json == {"holds": []}
    assert box.chronos("resume").code == 4


def test_a_pause_without_a_scope_holds_everything_and_resume_ends_every_hold(box: Box) -> None:
    assert box.ok("pause", "--for", "2h", "--json").json["scope"] == "all"
    box.ok("pause", "target:box", "--for", "2h")
    assert sorted(box.ok("resume", "--json").json["ended"]) == ["all", "target:box"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--for", "8d"), 2),
        ((), 2),
        (("--for", "0s"), 2),
        (("box", "--for", "1h"), 2),
        (("target:nobody", "--for", "1h"), 4),
    ],
)
def test_a_pause_that_makes_no_sense_is_refused(box: Box, words: tuple[str, ...], code: int) -> None:
    refused = box.chronos("pause", *words)
    assert refused.code == code
    assert refused.one_line


def test_targets_and_routes_are_listed(box: Box) -> None:
    document = box.ok("target", "list", "--json").json
    assert [(one["name"], one["channel"], one["open"]) for one in document["targets"]] == [
        ("box", "maildir", True),
        ("closed", "webhook", True),
    ]
    assert document["routes"] == [
        {"name": "both", "steps": [{"target": "closed", "after_ms": 0}, {"target": "box", "after_ms": 3_600_000}]}
    ]
    assert "route both: closed, then box after 1 h" in box.ok("target", "list").out


def test_testing_a_target_ends_with_3_when_a_step_fails(box: Box) -> None:
    assert box.ok("target", "test", "box", "--json").json["ok"] is True
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and nobody answers
        box.configure(f"targets: {{shut: {{channel: webhook, url: 'http://127.0.0.1:{taken.getsockname()[1]}/'}}}}")
        failed = box.chronos("target", "test", "shut", "--json")
    assert failed.code == 3
    assert [step["ok"] for step in failed.json["steps"]][-1] is False
    assert box.chronos("target", "test", "nobody").code == 4


def test_a_probe_repeats_no_secret(box: Box) -> None:
    box.configure("targets: {signed: {channel: webhook, url: 'http://127.0.0.1:9/', secret: 'secret:hook'}}")
    missing = box.chronos("target", "test", "signed")
    assert missing.code in {3, 78}
    tested = box.chronos("target", "test", "signed", CHRONOS_SECRET_HOOK="hunter2hunter2hunter2hunter2")
    assert "hunter2" not in tested.out + tested.err


def test_a_target_is_enabled_by_name(box: Box) -> None:
    assert box.ok("target", "enable", "box", "--json").json == {"target": "box", "lifted": False}
    assert box.chronos("target", "enable", "nobody").code == 4


def test_the_audit_log_names_who_did_what(box: Box) -> None:
    uid = box.send("--text", "x")
    box.ok("outbox", "cancel", "1")
    document = box.ok("audit", "list", "--json").json
    assert [(entry["action"], entry["subject"]) for entry in document["entries"]] == [
        ("message.cancelled", uid),
        ("message.queued", uid),
    ]
    assert document["next"] is None
    page = box.ok("audit", "list", "--limit", "1", "--json").json
    assert box.ok("audit", "list", "--before", str(page["next"]), "--json").json["entries"][0]["seq"] == 1
    filtered = box.ok("audit", "list", "--filter", "action:message.cancelled", "--jsonl").out.splitlines()
    assert [json.loads(line)["seq"] for line in filtered] == [2]


def test_an_exported_log_is_what_was_verified(box: Box) -> None:
    box.send("--text", "x")
    box.send("--text", "y")
    verified = box.ok("audit", "verify", "--json").json
    assert (verified["ok"], verified["entries"]) == (True, 2)
    lines = [json.loads(line) for line in box.ok("audit", "export").out.splitlines()]
    assert [line["seq"] for line in lines] == [1, 2]
    assert lines[1]["prev"] == lines[0]["hash"]
    assert lines[1]["hash"] == verified["head_hash"]
    assert box.ok("audit", "export", "--since", "2099-01-01").out == ""


def test_a_log_that_was_tampered_with_ends_with_3_and_the_entry(box: Box) -> None:
    box.send("--text", "x")
    box.send("--text", "y")
    with sqlite3.connect(box.data_dir / "chronos.db") as database:
        table, column = "audit", "body"
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,))
        for (name,) in triggers.fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute(f"UPDATE {table} SET {column} = replace({column}, 'message', 'massage') WHERE seq = 1")
    database.close()
    broken = box.chronos("audit", "verify", "--json")
    assert broken.code == 3
    assert (broken.json["ok"], broken.json["bad_seq"]) == (False, 1)
    assert box.chronos("doctor", "--json").json["status"] == "critical"


def test_config_check_lists_every_problem_and_ends_with_3(box: Box) -> None:
    assert box.ok("config", "check", "--json").json == {"ok": True, "problems": [], "warnings": []}
    box.configure("smtp:\n  prot: 25\nsecurity: {requre_https: true}\n")
    broken = box.chronos("config", "check", "--json")
    assert broken.code == 3
    assert broken.json["problems"] == [
        "config.yaml:2: smtp.prot: unknown key; did you mean port?",
        "config.yaml:3: security.requre_https: unknown key; did you mean require_https?",
    ]
    assert box.chronos("config", "check").out.count("problem ") == 2


def test_config_show_names_values_and_where_they_come_from(box: Box) -> None:
    entries = box.ok("config", "show", "smtp", "--json", CHRONOS_SMTP_HOST="mail.example.org").json["entries"]
    by_key = {entry["key"]: entry for entry in entries}
    assert by_key["smtp.host"] == {
        "key": "smtp.host",
        "value": "mail.example.org",
        "origin": "environment:CHRONOS_SMTP_HOST",
    }
    assert by_key["smtp.port"]["origin"] == "default"
    assert "targets.box.path: mail  # file:2" in box.ok("config", "show", "--origin").out
    assert box.chronos("config", "show", "smpt").code == 4


def test_config_set_keeps_comments_and_refuses_what_would_not_be_valid(box: Box) -> None:
    box.configure("# mine\nsmtp:\n  port: 25  # why\n")
    changed = box.ok("config", "set", "smtp.port", "587", "--json").json
    assert changed["changed"] is True
    assert "+  port: 587  # why" in changed["diff"]
    file = box.data_dir / "config.yaml"
    assert file.read_text() == "# mine\nsmtp:\n  port: 587  # why\n"
    assert box.chronos("config", "set", "smtp.port", "many").code == 78
    assert box.chronos("config", "set", "smtp.prot", "1").code == 78
    assert file.read_text() == "# mine\nsmtp:\n  port: 587  # why\n"
    assert box.ok("config", "unset", "smtp.port", "--json").json["changed"] is True
    assert box.chronos("config", "unset", "smtp.port").code == 4


def test_config_path_names_the_file(box: Box) -> None:
    assert box.ok("config", "path").out == f"{box.data_dir}/config.yaml\n"
    other = box.ok("config", "path", "--config", "/nowhere/c.yaml", "--json").json
    assert other == {"config_file": "/nowhere/c.yaml", "exists": False, "data_dir": str(box.data_dir)}


def test_status_is_one_document(box: Box) -> None:
    box.send("--text", "x")
    document = box.ok("status", "--json").json
    assert document["engine"]["running"] is False
    assert document["counts"]["queued"] == 1
    assert document["degraded"] is False
    assert "nobody delivers" in box.ok("status").out


@pytest.mark.parametrize("verb", ["health", "doctor"])
def test_checks_that_only_warn_end_with_0(box: Box, verb: str) -> None:
    document = box.ok(verb, "--json").json
    assert document["status"] == "warning"
    assert all(set(one) == {"name", "status", "value", "advice"} for one in document["checks"])
    engine = next(one for one in document["checks"] if one["name"] == "engine")
    assert engine["status"] == "warning"
    assert box.ok(verb).out.splitlines()[-1] == "warning"


def test_a_critical_check_ends_with_3_and_doctor_mends_what_is_safe(box: Box) -> None:
    box.send("--text", "x")
    (box.data_dir / "DEGRADED").touch()
    assert box.chronos("health").code == 3
    refused = box.chronos("send", "box", "--text", "y")
    assert (refused.code, refused.out) == (75, "")
    assert box.ok("doctor", "--fix", "--json").json["status"] == "warning"
    box.send("--text", "y")


def test_the_log_is_read_from_its_files(box: Box) -> None:
    logs = box.data_dir / "logs"
    logs.mkdir()
    lines = [
        {"at": f"2026-11-23T14:00:0{n}.000Z", "level": level, "event": "e\x1b[31m", "channel": "chronos", "n": n}
        for n, level in enumerate(["INFO", "WARNING", "DEBUG"])
    ]
    (logs / "chronos.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert box.ok("log", "--json").json == {"lines": lines}
    assert [json.loads(line)["n"] for line in box.ok("log", "--level", "WARNING", "--jsonl").out.splitlines()] == [1]
    assert box.ok("log", "-n", "1").out == "2026-11-23T14:00:02.000Z DEBUG    e n=2\n"
    assert box.ok("log", "--since", "2026-11-23T14:00:01Z", "--limit", "1", "--jsonl").out.count("\n") == 1
    assert box.ok("log", "--channel", "security").one_line.startswith("nothing is logged in")
    assert box.chronos("log", "--level", "LOUD").code == 2
    assert box.chronos("log", "--channel", "other").code == 2
    assert box.chronos("log", "--follow", "--json").code == 2


def test_following_shows_what_is_there_and_what_comes(box: Box) -> None:
    logs = box.data_dir / "logs"
    logs.mkdir()
    line = '{{"at":"2026-11-23T14:00:0{0}.000Z","level":"INFO","event":"e{0}","channel":"chronos"}}\n'
    (logs / "chronos.jsonl").write_text(line.format(1) + line.format(2))
    command = box.command("log", "--follow", "-n", "1")
    with started(command, env=box.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "e2" in process.stdout.readline()
        with (logs / "chronos.jsonl").open("a") as file:
            file.write(line.format(3))
        assert "e3" in process.stdout.readline()
        process.send_signal(2)
        assert process.wait(TIME_OUT_S) == 130


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_the_command(box: Box, shell: str) -> None:
    assert "chronos" in box.ok("completion", shell).out


def completions(box: Box, line: str, tmp_path: Path, **shell: str) -> list[str]:
    """Ask as bash does: the line so far in the environment, the answer on file descriptor 8 (here: a file)."""
    answer = tmp_path / "answer"
    env = {
        **box.env,
        "CHRONOS_DATA_DIR": str(box.data_dir),
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        **shell,
    }
    subprocess.run(
        [sys.executable, "-m", "chronos_tui.commands"], env=env, cwd=tmp_path, timeout=TIME_OUT_S, check=True,
        capture_output=True,
    )  # fmt: skip
    return [word.strip() for word in answer.read_text().split("\n")]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("chronos out", {"outbox"}),
        ("chronos outbox re", {"retry", "release", "resend"}),
        ("chronos send b", {"box", "both"}),
        ("chronos send box --prio", {"--priority"}),
        ("chronos outbox list --state de", {"delivered", "dead"}),
        ("chronos outbox list --filter targ", {"target:"}),
        ("chronos outbox list --filter target:bo", {"target:box"}),
        ("chronos pause target:b", {"target:box"}),
        ("chronos config set smtp.po", {"smtp.port"}),
    ],
)
def test_names_are_completed(box: Box, tmp_path: Path, line: str, offered: set[str]) -> None:
    assert offered <= set(completions(box, line, tmp_path))


def test_zsh_is_told_what_a_verb_does(box: Box, tmp_path: Path) -> None:
    assert "release:let held messages go" in completions(box, "chronos outbox re", tmp_path, _ARGCOMPLETE_SHELL="zsh")


def test_completion_over_a_broken_configuration_offers_nothing_and_says_nothing(box: Box, tmp_path: Path) -> None:
    box.configure("targets: [")
    assert completions(box, "chronos send b", tmp_path) == [""]
    assert [file.name for file in box.data_dir.iterdir()] == ["config.yaml"]  # and creates nothing
