"""`chronos outbox`, from outside."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
from pathlib import Path

import pytest

from tests.interfaces.program import TIME_OUT_S, Box, started

STATES = ["queued", "sending", "delivered", "dead", "cancelled", "expired", "held", "uncertain"]
MESSAGE_KEYS = {
    "id", "uid", "state", "target", "channel", "subject", "priority", "created_at", "due_at", "expires_at",
    "finished_at", "attempts", "cycle", "reason", "last_code", "last_word", "cancel_requested", "queued_by", "route",
    "template", "idempotency_key", "collapse_key", "ordering_key", "on_uncertain", "size_bytes", "tags",
}  # fmt: skip


def fill(box: Box, count: int, *words: str) -> None:
    for number in range(1, count + 1):
        box.send("--subject", f"message {number}", *words)


def states(box: Box) -> dict[int, str]:
    return {one["id"]: one["state"] for one in box.ok("outbox", "list", "--json").json["messages"]}


def test_counts_name_every_state(box: Box) -> None:
    fill(box, 2)
    assert box.ok("outbox", "counts", "--json").json == {state: 2 if state == "queued" else 0 for state in STATES}
    assert box.ok("outbox", "counts").out.splitlines()[0].split() == ["queued", "2"]


def test_pages_follow_each_other_by_their_cursor(box: Box) -> None:
    fill(box, 5)
    first = box.ok("outbox", "list", "--limit", "2", "--json").json
    second = box.ok("outbox", "list", "--limit", "3", "--json", "--after", str(first["next"])).json
    assert [one["id"] for one in [*first["messages"], *second["messages"]]] == [5, 4, 3, 2, 1]
    assert second["next"] is None
    assert all(set(one) == MESSAGE_KEYS for one in first["messages"])


def test_json_lines_are_one_message_each(box: Box) -> None:
    fill(box, 3, "--tag", "t")
    lines = [json.loads(line) for line in box.ok("outbox", "list", "--jsonl").out.splitlines()]
    assert [(one["id"], one["tags"]) for one in lines] == [(3, ["t"]), (2, ["t"]), (1, ["t"])]


def test_state_and_filter_narrow_the_list(box: Box) -> None:
    fill(box, 3)
    box.ok("outbox", "hold", "2")
    assert [one["id"] for one in box.ok("outbox", "list", "--state", "held", "--json").json["messages"]] == [2]
    found = box.ok("outbox", "list", "--filter", "-state:held target:box", "--json").json["messages"]
    assert [one["id"] for one in found] == [3, 1]
    wrong = box.chronos("outbox", "list", "--filter", "stat:held")
    assert wrong.code == 2
    assert "did you mean state?" in wrong.one_line


def test_people_get_a_table_no_wider_than_the_terminal(box: Box) -> None:
    box.send("--subject", "a very long subject " * 20)
    box.send("--subject", "漢字" * 100)
    out = box.ok("outbox", "list", COLUMNS="60").out.splitlines()
    assert out[0].split() == ["#", "state", "target", "subject", "due/age", "tries", "last", "word"]
    assert len(out) == 3
    assert all(sum(2 if character > "\u2fff" else 1 for character in line) <= 60 for line in out)
    assert "\x1b" not in "".join(out)


def test_an_empty_outbox_says_what_to_do_beside_stdout(box: Box) -> None:
    empty = box.ok("outbox", "list")
    assert (empty.out, empty.one_line) == ("", "the outbox is empty; 'chronos send' fills it")
    assert box.ok("outbox", "list", "--quiet").err == ""
    assert box.ok("outbox", "list", "--json").json == {"messages": [], "next": None}


def test_show_finds_a_message_by_number_and_by_uid(box: Box) -> None:
    uid = box.send("--subject", "s", "--text", "t")
    assert all(box.ok("outbox", "show", handle, "--json").json["uid"] == uid for handle in ("1", "#1", uid))
    shown = box.ok("outbox", "show", "1", "--json").json
    assert set(shown) == MESSAGE_KEYS | {"history", "attachments"}
    missing = box.chronos("outbox", "show", "99", "--json")
    assert (missing.code, missing.out) == (4, "")
    assert "no message '99'" in missing.one_line


def test_hostile_text_reaches_no_terminal(box: Box) -> None:
    """A subject or a body is never an escape sequence, nor does it turn the line round."""
    uid = box.send("--subject", "a\u202etxt\u009b31mx", "--text", "one\x1b]52;c;aGk=\x07two\n\x1b[2Jthree")
    shown = (
        box.ok("outbox", "show", uid, "--body").out
        + box.ok("outbox", "list").out
        + box.ok("outbox", "explain", uid).out
    )
    assert not {character for character in shown if character < " " and character != "\n"}
    assert not {"\u202e", "\u009b"} & set(shown)
    assert "onetwo\nthree" in shown
    # Programs get it as it is, in ASCII.
    document = box.ok("outbox", "show", uid, "--body", "--json")
    assert document.out.isascii()
    assert document.json["content"]["text"] == "one\x1b]52;c;aGk=\x07two\n\x1b[2Jthree"


def test_explain_tells_the_story_and_what_to_do(box: Box) -> None:
    box.send("--subject", "s", "--in", "2h")
    story = box.ok("outbox", "explain", "1", "--json").json
    assert set(story) == {"id", "uid", "state", "lines", "now", "advice"}
    assert story["advice"] == "chronos outbox retry 1 (to send it now)"
    assert story["lines"][0]["text"].startswith("Queued “s” by cli:")
    assert story["now"] in box.ok("outbox", "explain", "1").out


def test_an_act_on_one_message_is_done_or_refused_with_the_reason(box: Box) -> None:
    fill(box, 1)
    for verb, state in (("hold", "held"), ("release", "queued"), ("retry", "queued"), ("cancel", "cancelled")):
        assert box.ok("outbox", verb, "1", "--json").json["state"] == state
    again = box.chronos("outbox", "cancel", "1")
    assert (again.code, again.out) == (5, "")
    assert again.one_line == "chronos: #1: cannot cancel: it was cancelled; nothing more is sent"
    assert box.chronos("outbox", "cancel", "2").code == 4
    assert box.chronos("outbox", "resend", "1").code == 5
    assert box.chronos("outbox", "settle", "1", "--as", "dead").code == 5
    assert box.chronos("outbox", "settle", "1").code == 2


def test_an_act_on_several_is_one_act_that_can_be_undone(box: Box) -> None:
    fill(box, 3)
    document = box.ok("outbox", "cancel", "1", "3", "--json").json
    assert (document["total"], document["applied"], document["skipped"]) == (2, 2, 0)
    assert document["undo_until"] is not None
    entries = box.ok("audit", "list", "--filter", "action:bulk", "--json").json["entries"]
    assert [(entry["action"], entry["detail"]["ids"]) for entry in entries] == [("bulk.cancel", [1, 3])]
    assert box.ok("outbox", "undo", "--json").json["undone"] == 2
    assert states(box) == {1: "queued", 2: "queued", 3: "queued"}
    assert box.chronos("outbox", "undo").code == 4


def test_an_act_on_several_names_what_could_not_be_done(box: Box) -> None:
    fill(box, 2)
    box.ok("outbox", "cancel", "1")
    mixed = box.chronos("outbox", "hold", "1", "2")
    assert mixed.code == 5
    assert "#1: cannot hold: it was cancelled" in mixed.err
    assert states(box) == {1: "cancelled", 2: "held"}


def test_an_act_by_filter_needs_yes_where_nobody_can_be_asked(box: Box) -> None:
    fill(box, 3)
    refused = box.chronos("outbox", "cancel", "--filter", "target:box")
    assert refused.code == 2
    assert "3 messages match and nobody can be asked" in refused.one_line
    assert set(states(box).values()) == {"queued"}
    assert box.ok("outbox", "cancel", "--filter", "target:box id:2", "--yes", "--json").json["applied"] == 1
    assert states(box) == {1: "queued", 2: "cancelled", 3: "queued"}


def test_a_dry_run_shows_the_set_and_changes_nothing(box: Box) -> None:
    fill(box, 3)
    document = box.ok("outbox", "cancel", "--filter", "target:box", "--dry-run", "--json").json
    assert (document["dry_run"], document["total"]) == (True, 3)
    assert (document["oldest"]["id"], document["newest"]["id"]) == (1, 3)
    assert [one["id"] for one in document["sample"]] == [1, 2, 3]
    assert "3 messages" in box.ok("outbox", "cancel", "1", "2", "3", "--dry-run").out
    assert set(states(box).values()) == {"queued"}


def test_an_act_needs_numbers_or_a_filter_and_not_both(box: Box) -> None:
    assert box.chronos("outbox", "cancel").code == 2
    assert box.chronos("outbox", "cancel", "1", "--filter", "state:dead").code == 2


@pytest.mark.parametrize("expression", ["", "  "])
def test_an_empty_filter_acts_on_nothing(box: Box, expression: str) -> None:
    # What --filter "$WHICH" becomes in a script whose variable is unset.
    box.send("--text", "x")
    refused = box.chronos("outbox", "cancel", "--filter", expression, "--yes")
    assert refused.code == 2
    assert "the filter is empty" in refused.one_line
    assert box.ok("outbox", "counts", "--json").json["queued"] == 1


def test_a_filter_that_matches_nothing_is_no_failure(box: Box) -> None:
    nothing = box.ok("outbox", "retry", "--filter", "state:dead")
    assert nothing.one_line == "no message matches that could be queued again"
    assert box.ok("outbox", "retry", "--filter", "state:dead", "--json").json["total"] == 0


def on_terminal(command: list[str], env: dict[str, str], answer: bytes) -> tuple[int, str]:
    """Run a command whose stdin, stdout and stderr are a terminal, and type `answer` once it asks."""
    controller, terminal = pty.openpty()
    with started(command, env=env, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        while select.select([controller], [], [], TIME_OUT_S)[0]:
            try:
                shown += os.read(controller, 4096)
            except OSError:  # the other side has closed
                break
            if shown.endswith(b"[y/N] "):
                os.write(controller, answer)
        os.close(controller)
        return process.wait(TIME_OUT_S), shown.decode()


@pytest.mark.parametrize(
    ("answer", "code", "state"), [(b"y\n", 0, "held"), (b"\n", 1, "queued"), (b"n\n", 1, "queued")]
)
def test_on_a_terminal_the_set_is_shown_and_asked_for(box: Box, answer: bytes, code: int, state: str) -> None:
    fill(box, 2)
    env = {**box.env, "TERM": "xterm"}
    ended, shown = on_terminal(box.command("outbox", "hold", "--filter", "target:box"), env, answer)
    assert ended == code
    assert "2 messages" in shown
    assert "oldest  #1" in shown
    assert set(states(box).values()) == {state}


@pytest.mark.parametrize(
    ("extra", "env", "colored"), [((), {}, True), (("--no-color",), {}, False), ((), {"NO_COLOR": "1"}, False)]
)
def test_colours_are_for_terminals_that_want_them(
    box: Box, extra: tuple[str, ...], env: dict[str, str], colored: bool
) -> None:
    fill(box, 1)
    _, shown = on_terminal(box.command("outbox", "list", *extra), {**box.env, "TERM": "xterm", **env}, b"")
    assert "message 1" in shown
    assert ("\x1b[" in shown) == colored


def test_a_reader_that_leaves_is_no_error(box: Box) -> None:
    fill(box, 2)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        box.command("outbox", "list", "--jsonl"),
        env=box.env,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=TIME_OUT_S,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_output_that_cannot_be_written_is_said(box: Box) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            box.command("outbox", "counts"),
            env=box.env,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=TIME_OUT_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"chronos: No space left on device\n")
