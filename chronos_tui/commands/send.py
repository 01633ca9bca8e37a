"""`chronos send`: one message into the outbox. Reads files and stdin; decides nothing about delivery."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from chronos_tui import bridge
from chronos_tui.commands import times
from chronos_tui.commands.parsing import Arguments, Verb, duration_ms, pair, text
from chronos_tui.commands.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_WAIT = "60s"
_MOST_WORDS = 300
_DURATION = re.compile(r"[0-9]")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="TARGET", type=text, help="a target, a route, or mailto:…, https://…, maildir:…"
    )
    _content_arguments(parser.add_argument_group("what it says"))
    _queue_arguments(parser.add_argument_group("how it is queued"))


def _content_arguments(group: Any) -> None:
    group.add_argument("--subject", metavar="S", type=text, default="", help="the subject")
    group.add_argument("--text", metavar="T", type=text, help="the text")
    group.add_argument("--text-file", metavar="FILE", help="the text from a file, - for stdin")
    group.add_argument("--html-file", metavar="FILE", help="the HTML part from a file, - for stdin")
    group.add_argument("--data", metavar="JSON|@FILE", type=text, help="a webhook's body: JSON, @FILE, or @- for stdin")
    group.add_argument(
        "--attach",
        metavar="PATH",
        action="append",
        default=[],
        help="a file to attach; may be repeated, or several behind one",
    )
    group.add_argument(
        "--header", metavar="K=V", action="append", type=pair, default=[], help="an extra header; may be repeated"
    )
    group.add_argument("--template", metavar="NAME", help=argparse.SUPPRESS)
    group.add_argument("--var", metavar="K=V", action="append", help=argparse.SUPPRESS)


def _queue_arguments(group: Any) -> None:
    group.add_argument("--idempotency-key", metavar="K", type=text, help="the same key and content: queued once")
    when = group.add_mutually_exclusive_group()
    when.add_argument("--at", metavar="TIME", help="not before: 14:00, 'tomorrow 9:00', 2026-11-23T14:00Z")
    when.add_argument(
        "--in", metavar="DURATION", type=duration_ms, dest="delay_ms", help="not before that time: 15m, 2h"
    )
    group.add_argument("--expires", metavar="DURATION", type=duration_ms, help="worthless after that time: 90s, 2h, 3d")
    group.add_argument("--collapse-key", metavar="K", type=text, help="replaces what waits under the same key")
    group.add_argument("--ordering-key", metavar="K", type=text, help="one after the other under the same key")
    group.add_argument(
        "--priority", choices=("low", "normal", "high", "urgent"), default="normal", help="default: normal"
    )
    group.add_argument(
        "--on-uncertain", choices=("resend", "ask"), help="when nobody knows whether it arrived (default: the target's)"
    )
    group.add_argument(
        "--tag", metavar="TAG", action="append", type=text, default=[], help="a word to find it by; may be repeated"
    )
    group.add_argument(
        "--wait",
        metavar="DURATION",
        nargs="?",
        type=duration_ms,
        const=duration_ms(DEFAULT_WAIT),
        dest="wait_ms",
        help=f"wait until it is delivered, at most so long (default: {DEFAULT_WAIT})",
    )


def rewrite(words: list[str]) -> list[str]:
    """Give a --wait without a duration its default, so that it does not swallow the TARGET behind it."""
    return [
        f"--wait={DEFAULT_WAIT}"
        if word == "--wait" and at + 1 < len(words) and not _DURATION.match(words[at + 1])
        else word
        for at, word in enumerate(words)
    ]


def send(session: Session, given: Arguments) -> int:
    if given.template is not None or given.var:
        raise bridge.NotPossible("send --template: not available in this version; give --text or --text-file")
    _check_exclusive(given)
    with session.intake(waiting=given.wait_ms is not None) as intake:
        new = _new_message(session, given, intake.settings.outbox["max_message_bytes"])
        done = intake.enqueue(new)
        _say_queued(session, done, last=given.wait_ms is None)
        if given.wait_ms is None:
            return 0
        assert isinstance(intake, bridge.Engine)
        found = intake.wait_until_settled(done.message.uid, given.wait_ms).message
        if session.out.json:
            session.out.document(_document(found, created=done.created))
        return _after_wait(intake, found, given.wait_ms)


def _say_queued(session: Session, done: bridge.Enqueued, *, last: bool) -> None:
    """Print the uid as soon as it is safe; the one document only where nothing follows."""
    if not session.out.json:
        try:
            print(done.message.uid, flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:  # whoever reads "it failed" would send it again
            words = f"queued as {done.message.uid}, but stdout does not take the uid: {error.strerror or error}"
            raise bridge.ChronosError(words) from error
    elif last:
        session.out.document(_document(done.message, created=done.created))
    if not done.created:
        session.out.note(f"already queued under this idempotency key as #{done.message.id}")


def _check_exclusive(given: Arguments) -> None:
    if given.text is not None and given.text_file is not None:
        raise bridge.BadInput("--text and --text-file: give one of them")
    sources = {"--text-file": given.text_file, "--html-file": given.html_file, "--data": (given.data or "")[1:]}
    from_stdin = [name for name, value in sources.items() if value == "-" and (name != "--data" or given.data == "@-")]
    if len(from_stdin) > 1:
        raise bridge.BadInput(f"{' and '.join(from_stdin)}: stdin can be read only once")


def _new_message(session: Session, given: Arguments, most_bytes: int) -> bridge.NewMessage:
    now_ms = times.now_ms()
    not_before_ms = None
    if given.at is not None:
        not_before_ms = times.parse(given.at, session.env)
    elif given.delay_ms is not None:
        not_before_ms = now_ms + given.delay_ms
    return bridge.NewMessage(
        target=given.target,
        subject=given.subject,
        text=_text(given, most_bytes),
        html=_file_text("--html-file", given.html_file, most_bytes),
        data=_data(given.data, most_bytes),
        headers=tuple(given.header),
        attachments=_attachments(given.attach, most_bytes),
        priority=bridge.Priority[given.priority.upper()],
        not_before_ms=not_before_ms,
        expires_ms=None if given.expires is None else (not_before_ms or now_ms) + given.expires,
        idempotency_key=given.idempotency_key,
        collapse_key=given.collapse_key,
        ordering_key=given.ordering_key,
        on_uncertain=None if given.on_uncertain is None else bridge.OnUncertain(given.on_uncertain),
        tags=tuple(dict.fromkeys(given.tag)),
    )


def _text(given: Arguments, most_bytes: int) -> str | None:
    if given.text is not None:
        return str(given.text)
    return _file_text("--text-file", given.text_file, most_bytes)


def _data(word: str | None, most_bytes: int) -> str | None:
    if word is None or not word.startswith("@"):
        return word
    return _file_text("--data", word[1:], most_bytes)


def _file_text(option: str, name: str | None, most_bytes: int) -> str | None:
    if name is None:
        return None
    from chronos_tui.commands import reading

    return reading.text(option, name, most_bytes)


def _attachments(names: Sequence[str], most_bytes: int) -> tuple[bridge.Attachment, ...]:
    if not names:
        return ()
    from chronos_tui.commands import reading

    return reading.attachments(names, most_bytes)


def _document(found: bridge.Message, *, created: bool) -> dict[str, object]:
    return {"uid": found.uid, "id": found.id, "state": found.state.value, "created": created}


def _after_wait(engine: bridge.Engine, found: bridge.Message, wait_ms: int) -> int:
    if found.state == bridge.State.DELIVERED:
        return 0
    words = f"{found.last_code} {found.last_word}".strip() or found.state_reason
    why = f": {bridge.safe_line(words, _MOST_WORDS).rstrip('.')}" if words else ""
    explain = f"'chronos outbox explain {found.id}' tells more"
    if found.state in {bridge.State.DEAD, bridge.State.CANCELLED, bridge.State.EXPIRED, bridge.State.UNCERTAIN}:
        raise bridge.ChronosError(f"#{found.id} is {found.state.value}{why}; {explain}")
    nobody = "" if engine.owner() is not None else "; nobody delivers here, start 'chronos-tui --engine-only'"
    waited = bridge.format_duration(wait_ms)
    raise bridge.TryAgain(f"#{found.id} is still {found.state.value} after {waited}{why}{nobody}; {explain}")


VERBS = (
    Verb(
        "send",
        "queue a message and print its uid",
        send,
        (
            "chronos send ops --subject 'Backup failed' --text-file report.txt --attach backup.log",
            "df -h | chronos send me --subject 'Disk report' --text-file - --idempotency-key disk-monday",
        ),
        arguments,
        details=(
            "Once the uid is printed the message survives kill -9 and a power cut. The same --idempotency-key with\n"
            "the same content prints the first uid again (exit 0); with other content it is refused (exit 5).\n"
            "--wait ends with 0 delivered, 1 dead, cancelled, expired or uncertain, 75 when the time is over."
        ),
        rewrite=rewrite,
        spill="attach",
    ),
)
