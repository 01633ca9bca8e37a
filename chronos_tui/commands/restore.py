"""`chronos restore`: what a backup would change here, and putting it in place. Works without a database, too."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from chronos_tui import bridge
from chronos_tui.actor import actor
from chronos_tui.commands import asking, opening, planning, progress
from chronos_tui.commands.audit import public_key
from chronos_tui.commands.output import Painted
from chronos_tui.commands.parsing import Arguments, Verb, text
from chronos_tui.commands.progress import Report
from chronos_tui.commands.session import Session


def plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=text, help="its path, its name in the folder, or its number")
    parser.add_argument(
        "--trust-key",
        metavar="HEX",
        dest="trust",
        type=public_key,
        action="append",
        help="accept a backup that this key signed",
    )
    opening.opener_arguments(parser)


def apply_arguments(parser: argparse.ArgumentParser) -> None:
    plan_arguments(parser)
    parser.add_argument("--with-configuration", action="store_true", help="put the backup's configuration in place too")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def plan(session: Session, given: Arguments) -> int:
    opener = opening.opener(given)
    with progress.line(session.out) as report:
        found = _plan(session, given, opener, report)
    if session.out.json:
        session.out.document(bridge.restore_plan_shape(found))
        return 0
    for line in planning.plan_lines(found):
        session.out.line(*line)
    session.out.note("nothing was touched; 'chronos restore apply' does it")
    return 0


def _plan(session: Session, given: Arguments, opener: bridge.Opener | None, report: Report) -> bridge.RestorePlan:
    trust, site = tuple(given.trust or ()), _site(session)
    if not bridge.database_missing(site):
        try:
            with session.engine() as engine:
                opening.unlock(engine, given, opener)
                return engine.restore_plan(given.file, trust=trust, opener=opener, report=report)
        except bridge.DatabaseUnusable as error:
            session.out.note(str(error))
    return bridge.plan_rescue(site, given.file, trust=trust, opener=opener, report=report)


def _site(session: Session) -> bridge.Site:
    return bridge.Site(session.paths(), session.env, actor("cli", session.env))


def apply(session: Session, given: Arguments) -> int:
    """Plan first where somebody can be asked; ends with 1 where the answer is another one than the instance's name."""
    opener = opening.opener(given)
    planned = "" if given.yes else _confirmed(session, given, opener)
    if planned is None:
        session.out.note("nothing was done")
        return 1
    with progress.line(session.out) as report:
        done = _apply(session, given, opener, planned, report)
    if session.out.json:
        session.out.document(done)
        return 0
    for line in planning.done_lines(done):
        session.out.line(*line)
    return 0


def _confirmed(session: Session, given: Arguments, opener: bridge.Opener | None) -> str | None:
    """Show the plan and ask; return the sum of the archive that it was made of, None where the answer was no."""
    if not asking.can_ask():
        raise bridge.BadInput(
            "restore apply: nobody can be asked; look at 'chronos restore plan' first, then add --yes"
        )
    with progress.line(session.out) as report:
        found = _plan(session, given, opener, report)
    for line in planning.plan_lines(found):
        session.out.remark("".join(part.text if isinstance(part, Painted) else part for part in line))
    instance = session.settings().instance
    said = asking.line(f"type the name of this box ({instance}) to restore: ")
    return found.sha256 if said == instance else None


def _apply(
    session: Session, given: Arguments, opener: bridge.Opener | None, planned: str, report: Report
) -> Mapping[str, Any]:
    site = _site(session)
    asked = {"with_configuration": given.with_configuration, "trust": tuple(given.trust or ()), "planned": planned}
    if not bridge.database_missing(site):
        try:
            with session.engine() as engine:
                opening.unlock(engine, given, opener)
                return engine.restore_apply(given.file, **asked, opener=opener, report=report)
        except bridge.DatabaseUnusable as error:
            session.out.note(str(error))
    return bridge.rescue(site, given.file, **asked, opener=opener, report=report)


VERBS = (
    Verb(
        "restore plan",
        "say what a restore would change, and touch nothing",
        plan,
        (
            "chronos restore plan chronos-box-20261124T030000Z.zip",
            "chronos restore plan /media/usb/chronos-box-20261124T030000Z.zip.age --identity-file key.txt --json",
        ),
        plan_arguments,
        "Rows and messages by state, what will be held, secrets, API keys that stay revoked, audit entries, age.",
    ),
    Verb(
        "restore apply",
        "put a backup in place; nothing that was delivered since is sent again",
        apply,
        (
            "chronos restore apply chronos-box-20261124T030000Z.zip",
            "chronos restore apply /media/usb/chronos-box-20261124T030000Z.zip --yes --with-configuration",
        ),
        apply_arguments,
        "A safety backup is made first; what was undecided is held, with its reason. On a terminal the plan is shown\n"
        "and the name of this box is to be typed; without one --yes is needed. docs/backups.md tells the rest.",
    ),
)
