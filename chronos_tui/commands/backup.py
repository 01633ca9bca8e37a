"""`chronos backup`: making, listing, proving and pruning backups. What an archive says of itself is hostile text."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import asking, opening, progress, times
from chronos_tui.commands.output import Painted, Part
from chronos_tui.commands.parsing import Arguments, Verb, text
from chronos_tui.commands.session import Session
from chronos_tui.commands.table import Column
from chronos_tui.commands.table import show as show_table

PROBLEM_FOUND = 3
_STYLES = {"proven": "ok", "unproven": "warning", "failed": "failed"}
_COLUMNS = (
    Column("backup"),
    Column("kind", flexible=True, least=5),
    Column("age", right=True),
    Column("size", right=True),
    Column("restore", flexible=True),
    Column("copies", right=True),
)
_PRUNE_COLUMNS = (
    Column("backup"),
    Column(""),
    Column("why", flexible=True),
)


def create_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", type=text, help="put it there (default: backup.directory)")
    parser.add_argument("--no-drill", action="store_true", help="do not prove it now, whatever backup.drill says")


def create(session: Session, given: Arguments) -> int:
    """Print the path alone on stdout, so that FILE=$(chronos backup create) works."""
    folder = None if given.out is None else Path(given.out).expanduser().absolute()
    with session.engine() as engine:
        if engine.owner() is None and not given.no_drill:
            asking.unlock(engine)
        with progress.line(session.out) as report:
            made = engine.backup_create(folder=folder, drill=False if given.no_drill else None, report=report)
    if session.out.json:
        session.out.document(bridge.backup_shape(made))
        return 0
    session.out.line(str(made.path))
    took = bridge.format_duration(max(made.took_ms, 1))
    session.out.note(f"{bridge.format_size(made.size)} in {took}; {_proof_words(made)}")
    if made.copies:
        session.out.note(f"{_many(len(made.copies), 'copy')} to make; 'chronos backup show {made.name}' follows them")
    return 0


def _proof_words(one: bridge.Backup) -> str:
    if one.proof == "proven":
        took = "" if one.drill_took_ms is None else f" in {bridge.format_duration(max(one.drill_took_ms, 1))}"
        return f"proven: it was restored and looked at{took}"
    return f"{one.proof}: {one.proof_detail or 'no drill was made'}"


def show_list(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.backups()
    out = session.out
    if out.jsonl:
        for one in found:
            out.record(bridge.backup_shape(one))
    elif out.json:
        out.document({"backups": [bridge.backup_shape(one) for one in found]})
    elif not found:
        out.note("there is no backup yet; 'chronos backup create' makes one")
    else:
        now_ms = times.now_ms()
        copied = any(one.copies for one in found)
        shown = len(_COLUMNS) if copied else len(_COLUMNS) - 1  # without the last where it is empty
        show_table(out, _COLUMNS[:shown], [_row(one, now_ms, brief=copied)[:shown] for one in found])
        proven = max((one.proven_ms for one in found if one.proven_ms is not None), default=None)
        last = (
            "no restore was proven yet" if proven is None else f"last proven restore: {times.relative(proven, now_ms)}"
        )
        out.note(last)
    return 0


def _row(one: bridge.Backup, now_ms: int, *, brief: bool) -> list[Part]:
    """brief: a word for its restore; when and why would not fit into 80 columns beside the copies."""
    state = _state(one, now_ms)
    return [
        one.name,
        str(one.kind),
        times.relative(one.taken_ms, now_ms).removesuffix(" ago"),
        bridge.format_size(one.size),
        Painted(_state_word(one), state.style) if brief else state,
        _copies(one),
    ]


def _state_word(one: bridge.Backup) -> str:
    if one.gone_ms is not None:
        return "gone"
    return "damaged" if one.verified_ok is False else str(one.proof)


def _state(one: bridge.Backup, now_ms: int) -> Painted:
    if one.gone_ms is not None:
        return Painted("the file is gone", "failed")
    if one.verified_ok is False:
        return Painted(f"damaged: {one.verified_word}", "failed")
    when = "" if one.proven_ms is None else f" {times.relative(one.proven_ms, now_ms)}"
    words = f"proven{when}" if one.proof == "proven" else f"{one.proof}: {one.proof_detail}".removesuffix(": ")
    return Painted(words, _STYLES[one.proof])


def _copies(one: bridge.Backup) -> str:
    done = sum(copy.state == "copied" for copy in one.copies)
    return f"{done} of {len(one.copies)}" if one.copies else ""


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=text, help="its path, its name in the folder, or its number")


def show(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.backup(given.file)
    if session.out.json:
        session.out.document(bridge.backup_in_full_shape(found))
        return 0
    now_ms = times.now_ms()
    taken = f"{times.moment(found.taken_ms)} ({times.relative(found.taken_ms, now_ms)})" if found.taken_ms else ""
    facts: list[tuple[str, Part]] = [
        ("backup", str(found.path)),
        ("kind", str(found.kind)),
        ("taken", taken),
        ("size", f"{bridge.format_size(found.size)}{', encrypted' if found.encrypted else ''}"),
        ("sha256", found.sha256),
        ("restore", _state(found, now_ms)),
        ("drilled", "" if found.drilled_ms is None else times.moment(found.drilled_ms)),
        ("read again", "" if found.verified_ms is None else times.moment(found.verified_ms)),
        *((f"in it: {name}", value) for name, value in _manifest_facts(found.manifest)),
        *((f"copy to {copy.destination}", _copy_words(copy, now_ms)) for copy in found.copies),
    ]
    for name, value in facts:
        if (value.text if isinstance(value, Painted) else value) != "":
            session.out.line(Painted(f"{name:<15}", "dim"), " ", value)
    return 0


def _copy_words(copy: bridge.BackupCopy, now_ms: int) -> str:
    if copy.state == "copied":
        when = copy.verified_ms or copy.copied_ms
        return "copied and read back" + ("" if when is None else f" {times.relative(when, now_ms)}")
    tries = f" after {_many(copy.attempts, 'try')}" if copy.attempts else ""
    next_at = times.relative(copy.due_ms, now_ms) if copy.due_ms > now_ms else "at once"
    due = f", next {next_at}" if copy.state == "waiting" else ""
    return f"{copy.state}{tries}{due}" + (f": {copy.detail}" if copy.detail else "")


def _manifest_facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a manifest says, whatever it is made of: of a file that was found nobody knows who wrote it."""
    counts, audit, members = (_mapping(manifest.get(name)) for name in ("counts", "audit", "members"))
    signature = _mapping(manifest.get("signature"))
    found = {
        "instance": manifest.get("instance"),
        "made by": f"Chronos {manifest['chronos']}" if manifest.get("chronos") else None,
        "schema": manifest.get("schema"),
        "messages": ", ".join(f"{number} {state}" for state, number in counts.items() if number),
        "audit": f"entry {audit['seq']} {audit.get('hash', '')}" if audit.get("seq") else None,
        "vault": f"root key {_mapping(manifest['vault']).get('root_id')}" if manifest.get("vault") else None,
        "files": ", ".join(members),
        "signed by": signature.get("key"),
    }
    return [(name, str(value)) for name, value in found.items() if value is not None]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def verify_arguments(parser: argparse.ArgumentParser) -> None:
    _file(parser)
    opening.opener_arguments(parser)


def verify(session: Session, given: Arguments) -> int:
    """End with 3 where nothing could be looked at, too: that an encrypted file lies there is no verification, and what
    the key that was named does not open was not verified by it.
    """
    opener = opening.opener(given)
    with session.engine() as engine:
        opening.unlock(engine, given, opener)
        with progress.line(session.out) as report:
            found = engine.backup_verify(given.file, opener=opener, report=report)
    seen = any(step.ok for step in found.steps)
    _print_verdict(session, found, "it is as it was made", "ok as far as it was looked at" if seen else "not verified")
    unopened = opener is not None and any(step.name == "decrypting" and step.ok is None for step in found.steps)
    return 0 if found.ok and seen and not unopened else PROBLEM_FOUND


def drill_arguments(parser: argparse.ArgumentParser) -> None:
    verify_arguments(parser)
    parser.add_argument(
        "--kit",
        metavar="KITFILE",
        type=text,
        help="open its secrets with this recovery kit, whose passphrase is asked for or read from stdin",
    )


def drill(session: Session, given: Arguments) -> int:
    """End with 3 for what is not proven too: who asks `drill FILE && …` wants a proof."""
    opener, kit = opening.opener(given), opening.kit(given)
    with session.engine() as engine:
        if kit is None:
            asking.unlock(engine)
        else:
            opening.unlock(engine, given, opener)
        with progress.line(session.out) as report:
            found = engine.backup_drill(given.file, kit=kit, opener=opener, report=report)
    _print_verdict(session, found, "it can be restored", "not proven")
    return 0 if found.ok and found.proof == "proven" else PROBLEM_FOUND


def _print_verdict(session: Session, found: bridge.Verdict, good: str, partly: str) -> None:
    out = session.out
    if out.json:
        out.document(bridge.verdict_shape(found))
        return
    width = max((len(step.name) for step in found.steps), default=0)
    for step in found.steps:
        words, style = {True: ("ok", "ok"), False: ("failed", "failed"), None: ("not made", "warning")}[step.ok]
        out.line(Painted(f"{words:<9}", style), f"{step.name:<{width}}  {step.detail}")
    took = bridge.format_duration(max(found.took_ms, 1))
    missing = next((step for step in found.steps if step.ok is None), None)
    if not found.ok:
        out.line(Painted("failed", "failed"), f": {found.why}")
    elif missing is not None:
        out.line(Painted(partly, "warning"), f": {missing.name}: {missing.detail}")
    else:
        out.line(Painted("ok", "ok"), f": {good} ({took})")


def prune_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show what would stay and go, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def prune(session: Session, given: Arguments) -> int:
    out = session.out
    with session.engine() as engine:
        planned = engine.backup_prune(dry_run=True)
        going = [one for one in planned if not one.keep]
        if not given.dry_run and going and not given.yes and not _confirmed(session, going):
            out.note("nothing was done")
            return 1
        if given.dry_run or not going:
            done = planned
        else:
            with progress.line(out) as report:
                done = engine.backup_prune(report=report)
    if out.json:
        out.document(bridge.retention_shape(done, dry_run=given.dry_run))
        return 0
    gone = [one for one in done if not one.keep]
    if given.dry_run:
        show_table(out, _PRUNE_COLUMNS, [_decision(one) for one in done])
    elif not gone:
        out.done("retention keeps every backup: nothing goes")
    for one in gone if not given.dry_run else ():
        out.done(f"removed {one.backup.name}: {one.reason}")
    if gone:
        size = bridge.format_size(sum(one.backup.size for one in gone))
        out.note(f"{_many(len(gone), 'backup')}, {size} {'would go' if given.dry_run else 'freed'}")
    return 0


def _confirmed(session: Session, going: Sequence[bridge.Decision]) -> bool:
    if not asking.can_ask():
        raise bridge.BadInput(
            f"backup prune: {_many(len(going), 'backup')} would go and nobody can be asked; "
            "add --yes to remove them, or --dry-run to look first"
        )
    for one in going:
        session.out.remark(f"{one.backup.name}  {bridge.format_size(one.backup.size)}: {one.reason}")
    return asking.confirmed(f"remove {_many(len(going), 'backup')}?")


def _decision(one: bridge.Decision) -> list[Part]:
    return [one.backup.name, Painted("stays", "ok") if one.keep else Painted("goes", "warning"), one.reason]


def _many(n: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{n} {noun if n == 1 else plural}"


VERBS = (
    Verb(
        "backup create",
        "make a backup, prove that it can be restored, and print its path",
        create,
        ("chronos backup create", "chronos backup create --out /media/usb"),
        create_arguments,
        "Its path alone goes to stdout: FILE=$(chronos backup create) works. The engine makes it where one runs, else\n"
        "this command itself; messages are taken and sent meanwhile. One that does not restore is never listed.",
    ),
    Verb(
        "backup list",
        "list backups, newest first, and whether each was proven",
        show_list,
        ("chronos backup list", "chronos backup list --jsonl"),
        lines=True,
    ),
    Verb(
        "backup show",
        "show one with its manifest and its copies",
        show,
        ("chronos backup show chronos-box-20261124T030000Z.zip", "chronos backup show 12 --json"),
        _file,
    ),
    Verb(
        "backup verify",
        "read a backup's file again: every sum, the manifest, who signed it",
        verify,
        (
            "chronos backup verify chronos-box-20261124T030000Z.zip",
            "chronos backup verify /media/usb/chronos-box-20261124T030000Z.zip.age --identity-file key.txt",
        ),
        verify_arguments,
        "Ends with 3 when something is wrong with it, with 4 when there is no such file.",
    ),
    Verb(
        "backup drill",
        "restore a backup into a scratch directory and look at everything",
        drill,
        (
            "chronos backup drill chronos-box-20261124T030000Z.zip",
            "chronos backup drill /media/usb/chronos-box-20261124T030000Z.zip --kit kit.txt",
        ),
        drill_arguments,
        "Nothing that is in use is touched. Ends with 3 unless it is proven: what could not be looked at is no proof.",
    ),
    Verb(
        "backup prune",
        "remove the backups that backup.keep does not keep",
        prune,
        ("chronos backup prune --dry-run", "chronos backup prune --yes"),
        prune_arguments,
        "The newest proven backup stays in any case. The engine that delivers prunes after each scheduled backup.",
    ),
)
