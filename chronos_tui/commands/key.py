"""`chronos key`: API keys of programs that knock at the HTTP door. A key's text is printed once, where it is made."""

from __future__ import annotations

import argparse
import sys

from chronos_tui import bridge
from chronos_tui.commands import times
from chronos_tui.commands.output import Painted, Part
from chronos_tui.commands.parsing import Arguments, Verb, text
from chronos_tui.commands.session import Session
from chronos_tui.commands.table import Column
from chronos_tui.commands.table import show as show_table

_STYLES = {"active": "ok", "expiring": "warning", "replaced": "warning", "expired": "dim", "revoked": "dim"}
_COLUMNS = (
    Column("id"),
    Column("name"),
    Column("scopes"),
    Column("targets", flexible=True),
    Column("networks", flexible=True),
    Column("state"),
    Column("ends"),
    Column("last used", flexible=True),
)
_ANY = "any"
_BOUND = _COLUMNS[3:5]
"""Left out where no key is bound: 80 columns hold the rest."""
_DAY_MS = 86_400_000


def overlap_ms(word: str) -> int:
    """A duration; 0s is one too."""
    try:
        return bridge.parse_duration_ms(word)
    except bridge.BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def create_arguments(parser: argparse.ArgumentParser) -> None:
    # "name" and "scope" alone are completed as a target's name and a pause's scope.
    parser.add_argument("--name", metavar="N", dest="key_name", type=text, required=True, help="who will use it")
    parser.add_argument(
        "--scope",
        metavar="S,…",
        dest="scope_words",
        type=text,
        action="append",
        required=True,
        help="send, read, admin: what it may do",
    )
    parser.add_argument("--target", metavar="T", type=text, action="append", help="it may send to this one only")
    parser.add_argument(
        "--network", metavar="CIDR", type=text, action="append", help="it may be used from there only; unix: the socket"
    )
    parser.add_argument("--expires", metavar="TIME", type=text, help="90d, or a date: when it ends (default: never)")


def create(session: Session, given: Arguments) -> int:
    """Print the key alone on stdout, so that KEY=$(chronos key create …) works."""
    bridge.harden()
    words = [word.strip() for several in given.scope_words for word in several.split(",") if word.strip()]
    expires_ms = None if given.expires is None else _moment(session, given.expires)
    with session.engine() as engine:
        made = engine.api_key_create(
            given.key_name,
            words,
            expires_ms=expires_ms,
            targets=given.target or (),
            networks=given.network or (),
        )
    return _print(session, made)


def _moment(session: Session, word: str) -> int:
    try:
        return times.now_ms() + bridge.parse_duration_ms(word)
    except bridge.BadInput:
        return times.parse(word, session.env)


def _print(session: Session, made: bridge.CreatedKey) -> int:
    now_ms = times.now_ms()
    if session.out.json:
        session.out.document(bridge.api_key_created_shape(made, now_ms))
        return 0
    session.out.line(made.text)
    key = made.key
    ends = "it does not end by itself" if key.expires_ms is None else f"it ends {times.moment(key.expires_ms)}"
    session.out.note(f"key {key.id} ({key.name}) may {', '.join(key.scopes)}; {ends}")
    session.out.note("this is the only time it is shown: keep it where only its program can read it")
    if made.replaced is not None and made.replaced.expires_ms is not None:
        old = made.replaced
        over = made.replaced.expires_ms <= now_ms
        until = "no longer works" if over else f"works until {times.moment(made.replaced.expires_ms)}"
        session.out.note(f"the one before it, {old.id}, {until}; 'chronos key list' says whether it is still used")
    return 0


def show_list(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        found = engine.api_keys()
    now_ms = times.now_ms()
    if session.out.json:
        session.out.document({"keys": [bridge.api_key_shape(one, now_ms) for one in found]})
        return 0
    if not found:
        session.out.note("there is no API key; 'chronos key create --name N --scope send' makes one")
        return 0
    rows = [_row(one, now_ms) for one in found]
    told = [at for at, column in enumerate(_COLUMNS) if column not in _BOUND or any(row[at] != _ANY for row in rows)]
    show_table(session.out, [_COLUMNS[at] for at in told], [[row[at] for at in told] for row in rows])
    for one in found:
        if one.state(now_ms) in {bridge.KeyState.REPLACED, bridge.KeyState.EXPIRING}:
            session.out.line(Painted(f"{one.id} ({one.name}): ", "dim"), one.words(now_ms))
    return 0


def _row(one: bridge.ApiKey, now_ms: int) -> list[Part]:
    state = one.state(now_ms)
    ends = "never" if one.expires_ms is None else times.relative(one.expires_ms, now_ms)
    return [
        one.id,
        one.name,
        ",".join(one.scopes),
        ",".join(one.targets) or _ANY,
        ",".join(one.networks) or _ANY,
        Painted(state, _STYLES[state]),
        "over" if state == bridge.KeyState.REVOKED else ends,
        one.used_words(now_ms),
    ]


def which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("word", metavar="N", type=text, help="its id, or the name of the one that is in force")


def rotate_arguments(parser: argparse.ArgumentParser) -> None:
    which(parser)
    parser.add_argument(
        "--overlap",
        metavar="DURATION",
        dest="overlap_ms",
        type=overlap_ms,
        default=_DAY_MS,
        help="how long the old one still works (default: 24h)",
    )


def rotate(session: Session, given: Arguments) -> int:
    bridge.harden()
    with session.engine() as engine:
        made = engine.api_key_rotate(given.word, overlap_ms=given.overlap_ms)
    return _print(session, made)


def revoke_arguments(parser: argparse.ArgumentParser) -> None:
    which(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def revoke(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        key = engine.api_key(given.word)
        if not given.yes and not _confirmed(session, key):
            session.out.note("nothing was done")
            return 1
        revoked = engine.api_key_revoke(key.id)
        others = [one for one in engine.api_keys() if one.name == key.name]
    now_ms = times.now_ms()
    if session.out.json:
        session.out.document(bridge.api_key_shape(revoked, now_ms))
        return 0
    session.out.done(f"key {revoked.id} ({revoked.name}) opens nothing any more")
    for one in others:
        if one.state(now_ms) not in {bridge.KeyState.REVOKED, bridge.KeyState.EXPIRED}:
            session.out.note(f"another key called {one.name} still works: {one.id}, {one.words(now_ms)}")
    return 0


def _confirmed(session: Session, key: bridge.ApiKey) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise bridge.BadInput("key revoke: nobody can be asked; add --yes")
    now_ms = times.now_ms()
    session.out.remark(f"key {key.id} ({key.name}), {','.join(key.scopes)}: {key.words(now_ms)}")
    session.out.remark(f"last used {key.used_words(now_ms)}; whoever uses it is refused from the next request on")
    print("revoke it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


_ONCE = "The key alone goes to stdout, once, and everything else to stderr: KEY=$(chronos key create …) works."

VERBS = (
    Verb(
        "key create",
        "make an API key and print it, this once",
        create,
        (
            "chronos key create --name n8n --scope send,read --expires 90d",
            "chronos key create --name backup --scope send --target ops --network 127.0.0.0/8",
        ),
        create_arguments,
        f"A scope stands for itself: admin does not contain read.\n{_ONCE}",
    ),
    Verb(
        "key list",
        "list API keys, how they stand and when they were used",
        show_list,
        ("chronos key list", "chronos key list --json"),
    ),
    Verb(
        "key rotate",
        "make a key's successor; both work until the overlap ends",
        rotate,
        ("chronos key rotate n8n", "chronos key rotate 1f2e3d4c --overlap 2h"),
        rotate_arguments,
        f"Name, scopes, targets and networks stay; a key that had an end gets the same time again.\n{_ONCE}",
    ),
    Verb(
        "key revoke",
        "let a key open nothing any more, at once",
        revoke,
        ("chronos key revoke n8n", "chronos key revoke 1f2e3d4c --yes"),
        revoke_arguments,
    ),
)
