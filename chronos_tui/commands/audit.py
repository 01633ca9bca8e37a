"""`chronos audit`: reading, proving, signing, exporting and pruning the audit log."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import shapes, times
from chronos_tui.commands.output import Painted
from chronos_tui.commands.parsing import Arguments, Verb, count, duration_ms, text
from chronos_tui.commands.session import Session
from chronos_tui.commands.table import Column
from chronos_tui.commands.table import show as show_table

PROBLEM_FOUND = 3
_RISKS = {"low": "dim", "medium": "", "high": "warning", "critical": "failed"}
_COLUMNS = (
    Column("seq", right=True),
    Column("at (UTC)"),
    Column("risk"),
    Column("actor", flexible=True),
    Column("action"),
    Column("subject", flexible=True),
    Column("detail", flexible=True),
)


def list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--filter", metavar="EXPR", type=text, default="", help="such as 'action:message since:24h'")
    parser.add_argument("--limit", metavar="N", type=count(1, 10_000), default=50, help="at most so many (default: 50)")
    parser.add_argument("--before", metavar="SEQ", type=count(1, 1 << 62), help="go on behind a page: its `next`")


def show_list(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.audit_page(given.filter, limit=given.limit, before=given.before)
    cursor = found[-1].seq if len(found) == given.limit and found[-1].seq > 1 else None
    if session.out.jsonl:
        for entry in found:
            session.out.record(shapes.entry(entry))
    elif session.out.json:
        session.out.document({"entries": [shapes.entry(entry) for entry in found], "next": cursor})
    elif not found:
        session.out.note("no entry matches" if given.filter else "the audit log is empty")
    else:
        rows = [
            (str(e.seq), e.at[5:19].replace("T", " "), _risk(e), e.actor, e.action, e.subject, _words(e.detail))
            for e in found
        ]
        show_table(session.out, _COLUMNS, rows)
        if cursor is not None:
            session.out.note(f"{len(found)} shown, there may be more: --before {cursor}")
    return 0


def _risk(entry: bridge.AuditEntry) -> Painted:
    level = entry.risk.level.value
    return Painted(level, _RISKS[level])


def _words(detail: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in detail.items())


def verify_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--against", metavar="FILE", type=text, help="an export, a checkpoint, a saved witness message")
    parser.add_argument("--archives", action="store_true", help="what was pruned too, from entry 1 on")
    parser.add_argument(
        "--key",
        metavar="HEX",
        dest="former_keys",
        type=public_key,
        action="append",
        help="a former public key to trust",
    )


def public_key(word: str) -> str:
    """64 hex digits."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", word):
        raise argparse.ArgumentTypeError("a public key is 64 hex digits, as a witness message or a checkpoint names it")
    return word.lower()


def verify(session: Session, given: Arguments) -> int:
    witness = None if given.against is None else _read_witness(given.against)
    former = given.former_keys or ()
    compared = archives = None
    with session.engine() as engine:
        if witness is None:
            found = engine.audit_verify(_progress(session), former=former)
        else:
            compared = _compared(engine, given.against, witness, _progress(session), former)
            found = compared.chain
        if given.archives:
            archives = engine.audit_archives(former=former)
    ok = (found if compared is None else compared).ok and (archives is None or archives.ok)
    if session.out.json:
        session.out.document(bridge.verification_shape(found, compared, archives))
    else:
        _print_verification(session, found, compared, archives)
    return 0 if ok else PROBLEM_FOUND


def _read_witness(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise bridge.NotFound(f"--against {name}: {error.strerror}") from error


def _compared(
    engine: bridge.Engine,
    name: str,
    witness: bytes,
    progress: Callable[[int, int], None] | None,
    former: Sequence[str],
) -> bridge.Comparison:
    try:
        return engine.audit_compare(witness, progress, former=former)
    except bridge.BadInput as error:
        raise bridge.BadInput(f"--against {name}: {error}") from error


def _print_verification(
    session: Session, found: bridge.ChainResult, compared: bridge.Comparison | None, archives: bridge.Archives | None
) -> None:
    out = session.out
    whole = found if compared is None else compared
    if whole.ok:
        out.line(Painted("ok", "ok"), f": {found.entries} entries, head {found.head_seq} {found.head_hash}")
        if found.checkpoints:
            whose = "this vault's own key" if found.confirmed else "the key that they name"
            out.line(f"{_many(found.checkpoints, 'checkpoint')} by {whose}, the newest over entry {found.signed_seq}")
        if compared is not None:
            what = [_many(compared.compared, "entry"), _many(compared.checkpoints, "checkpoint")]
            out.line(f"agrees with the witness: {', '.join(what)}, up to entry {compared.witness_seq}")
    else:
        out.line(Painted("failed", "failed"), f": {whole.why}")
        if compared is None:
            out.line("'chronos audit verify --against FILE' compares with what was kept elsewhere")
    if whole.note:
        out.note(whole.note)
    if archives is not None and archives.ok:
        out.line(Painted("ok", "ok"), f": {_many(archives.files, 'archive')}, up to entry {archives.entries}")
    elif archives is not None:
        out.line(Painted("failed", "failed"), f": {archives.why}")


def _progress(session: Session) -> Callable[[int, int], None] | None:
    if session.out.quiet or not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(f"\r{done} of {total}", end="\n" if done >= total else "", file=sys.stderr, flush=True)

    return show


def export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--since", metavar="T", type=text, help="only from then on: 24h, 2026-11-23, '2026-11-23 14:00'"
    )


def export(session: Session, given: Arguments) -> int:
    """Print the log as JSON Lines, whatever --json says: that is its format."""
    since_ms = None if given.since is None else times.parse_since(given.since, session.env)
    with session.engine() as engine:
        for line in engine.audit_export(since_ms):
            print(line)
    return 0


def _many(n: int, noun: str) -> str:
    plural = "entries" if noun == "entry" else f"{noun}s"
    return f"{n} {noun if n == 1 else plural}"


def checkpoint_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to", metavar="TARGET", dest="receiver", type=text, help="send it to a target or route as a message too"
    )


def checkpoint(session: Session, given: Arguments) -> int:
    """Print the document on stdout where it is redirected, so that `> head.json` keeps a witness."""
    uid = None
    with session.engine() as engine:
        if given.receiver is None:
            made = engine.audit_checkpoint()
        else:
            made, uid = engine.audit_witness(given.receiver)
    if session.out.json or not sys.stdout.isatty():
        session.out.document({**bridge.checkpoint_shape(made), **({} if uid is None else {"uid": uid})})
    else:
        session.out.line(f"entry {made.seq} {made.hash}")
        session.out.line(f"signed {made.at} with the key {made.key}")
    if uid is not None:
        session.out.note(f"sent to {given.receiver}: {uid}")
    return 0


def prune_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keep", metavar="DURATION", dest="keep_ms", type=duration_ms, required=True, help="younger entries stay: 365d"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would go, and do nothing")
    parser.add_argument(
        "--key",
        metavar="HEX",
        dest="former_keys",
        type=public_key,
        action="append",
        help="a former public key to trust",
    )


def prune(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        done = engine.audit_prune(
            keep_ms=given.keep_ms,
            dry_run=given.dry_run,
            progress=_progress(session),
            former=given.former_keys or (),
        )
    if session.out.json:
        session.out.document(bridge.pruned_shape(done))
    elif not done.entries:
        session.out.done("nothing is older than that, or the newest checkpoint is: nothing goes")
    else:
        would = "would go" if done.dry_run else "went"
        session.out.done(f"{done.entries} entries {would}: {done.first} to {done.last}")
        for name in done.files:
            session.out.done(f"archived in audit-archive/{name}")
    return 0


VERBS = (
    Verb(
        "audit list",
        "list entries, newest first",
        show_list,
        ("chronos audit list --filter 'since:24h'", "chronos audit list --filter 'actor:cli:root action:bulk' --json"),
        list_arguments,
        lines=True,
    ),
    Verb(
        "audit verify",
        "prove that nothing was changed, taken out or put in",
        verify,
        ("chronos audit verify", "chronos audit verify --against head.json"),
        verify_arguments,
        "Ends with 3 and names the first bad entry. With a witness it also finds what was cut off the end or written\n"
        "anew as a whole. A witness is what 'audit export' or 'audit checkpoint' printed, or a saved witness message.",
    ),
    Verb(
        "audit export",
        "print the audit log as JSON Lines, oldest first",
        export,
        ("chronos audit export > audit.jsonl", "chronos audit export --since 24h"),
        export_arguments,
        "docs/audit-format.md describes the lines and how to verify them elsewhere.",
        lines=True,
    ),
    Verb(
        "audit checkpoint",
        "sign the head of the log",
        checkpoint,
        ("chronos audit checkpoint > head.json", "chronos audit checkpoint --to me"),
        checkpoint_arguments,
        "The engine does so by itself, every thousand entries and daily, once there is a vault ('chronos init').",
    ),
    Verb(
        "audit prune",
        "archive old entries in signed files and take them from the log",
        prune,
        ("chronos audit prune --keep 365d --dry-run", "chronos audit prune --keep 365d"),
        prune_arguments,
        "The archives lie in audit-archive in the data directory; 'audit verify --archives' proves them.",
    ),
)
