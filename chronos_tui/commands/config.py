"""`chronos config`: judging, showing and changing the configuration. Never opens the database."""

from __future__ import annotations

import argparse
from functools import partial

from chronos_tui import bridge
from chronos_tui.commands.output import Painted
from chronos_tui.commands.parsing import Arguments, Verb, text
from chronos_tui.commands.session import Session

PROBLEM_FOUND = 3


def check(session: Session, given: Arguments) -> int:
    """List every problem and every warning; only problems make it end with 3."""
    problems: list[str] = []
    warnings: list[str] = []
    try:
        settings = session.settings()
        bridge.judge_door(settings)
        warnings = bridge.config_warnings(settings, session.env)
    except bridge.ConfigError as error:
        problems = error.problems
    if session.out.json:
        session.out.document({"ok": not problems, "problems": problems, "warnings": warnings})
        return PROBLEM_FOUND if problems else 0
    for problem in problems:
        session.out.line(Painted("problem  ", "failed"), problem)
    for warning in warnings:
        session.out.line(Painted("warning  ", "warning"), warning)
    if not problems:
        session.out.done(f"{session.paths().config_file}: no problem" + (", see the warnings" if warnings else ""))
    return PROBLEM_FOUND if problems else 0


def show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "key", metavar="KEY", nargs="?", type=text, help="a key or the beginning of one: smtp, targets.me"
    )
    parser.add_argument("--origin", action="store_true", help="where each value comes from: default, line, variable")


def show(session: Session, given: Arguments) -> int:
    found = [
        entry
        for entry in bridge.config_entries(session.settings())
        if given.key is None or entry.key == given.key or entry.key.startswith(f"{given.key}.")
    ]
    if not found:
        raise bridge.NotFound(f"config: no key {given.key!r:.80}; 'chronos config show' lists them")
    if session.out.json:
        entries = [{"key": entry.key, "value": entry.value, "origin": entry.origin} for entry in found]
        session.out.document({"entries": entries})
        return 0
    for entry in found:
        origin = Painted(f"  # {entry.origin}", "dim") if given.origin else ""
        session.out.line(f"{entry.key}: {bridge.flow(entry.value)}", origin)
    return 0


def path(session: Session, given: Arguments) -> int:
    paths = session.paths()
    if session.out.json:
        document = {"config_file": str(paths.config_file), "exists": paths.config_file.exists()}
        session.out.document({**document, "data_dir": str(paths.data_dir)})
        return 0
    session.out.line(str(paths.config_file))
    if not paths.config_file.exists():
        session.out.note("there is no such file yet, so every default holds; 'chronos init' writes one")
    return 0


def key_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", type=text, help="such as smtp.port or targets.me.to")


def set_arguments(parser: argparse.ArgumentParser) -> None:
    key_argument(parser)
    parser.add_argument("value", metavar="VALUE", type=text, help="as it would stand in the file: 587, true, [a, b]")


def set_key(session: Session, given: Arguments) -> int:
    judge = partial(bridge.load_settings, session.paths(), session.env)
    diff = bridge.set_value(session.paths(), given.key, given.value, judge)
    return _report(session, "set", given.key, diff)


def unset_key(session: Session, given: Arguments) -> int:
    judge = partial(bridge.load_settings, session.paths(), session.env)
    return _report(session, "unset", given.key, bridge.unset(session.paths(), given.key, judge))


def _record(session: Session, action: str, key: str) -> None:
    """Tell the audit log, where there is one: a change that nobody took over would be an incident."""
    if not session.paths().database.exists():
        return
    try:
        with session.engine() as engine:
            engine.config_written(action, key)
    except bridge.ChronosError as error:
        session.out.note(f"the change stands, but not in the audit log: {error}")


def _report(session: Session, action: str, key: str, diff: str) -> int:
    if diff:
        _record(session, action, key)
    if session.out.json:
        session.out.document({"key": key, "changed": bool(diff), "diff": diff})
        return 0
    if not diff:
        session.out.note(f"{key}: nothing to change")
        return 0
    for line in diff.splitlines():
        style = "ok" if line.startswith("+") else "failed" if line.startswith("-") else ""
        session.out.line(Painted(line, style))
    session.out.note("a running engine reads it when it gets SIGHUP: systemctl reload chronos, or kill -HUP its pid")
    return 0


VERBS = (
    Verb(
        "config check",
        "judge file and environment: every problem at once, with its line",
        check,
        ("chronos config check", "chronos --config /etc/chronos/config.yaml config check --json"),
        details="Ends with 3 when there is a problem; warnings alone end with 0.",
    ),
    Verb(
        "config show",
        "show what is in force",
        show,
        ("chronos config show --origin", "chronos config show smtp --json"),
        show_arguments,
        "Secrets are shown as the references they are.",
    ),
    Verb("config path", "print where the file is", path, ("chronos config path", "chronos config path --json")),
    Verb(
        "config set",
        "change one key and show the difference",
        set_key,
        ("chronos config set smtp.port 587", "chronos config set targets.me.to '[me@example.org]'"),
        set_arguments,
        "Comments are kept. Nothing is written when the result would not be valid.",
    ),
    Verb(
        "config unset",
        "remove one key, so that its default holds",
        unset_key,
        ("chronos config unset smtp.port", "chronos config unset targets.me.rate --json"),
        key_argument,
    ),
)
