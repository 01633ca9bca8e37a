"""Which verbs there are and which module holds each. Loads a module when its verb is chosen, never the others."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chronos_tui.commands.parsing import Verb


class Noun:
    """The first word behind `chronos`. verbs: the second words; () where the noun is the whole verb."""

    __slots__ = ("help", "module", "name", "verbs")

    def __init__(self, name: str, module: str, about: str, verbs: tuple[str, ...] = ()) -> None:
        self.name = name
        self.module = module
        self.help = about
        self.verbs = verbs


NOUNS = (
    Noun("init", "init", "first run: data directory and configuration; --demo: a box to try everything on"),
    Noun("send", "send", "queue a message and print its uid"),
    Noun(
        "outbox",
        "outbox",
        "look at messages and act on them",
        (
            "list", "show", "explain", "counts", "retry", "cancel", "hold", "release", "resend", "settle", "undo",
        ),
    ),
    Noun("pause", "holds", "hold back everything, a channel, a target or a template for a time"),
    Noun("resume", "holds", "end a pause before its time"),
    Noun("holds", "holds", "show what is paused and until when"),
    Noun("target", "target", "look at targets and test them", ("list", "test", "enable")),
    Noun(
        "secret",
        "secret",
        "passwords and tokens, stored sealed; the vault that holds them",
        ("set", "list", "delete", "check", "rotate-root", "export-recovery-kit", "import-recovery-kit"),
    ),
    Noun("audit", "audit", "the audit log", ("list", "verify", "export", "checkpoint", "prune")),
    Noun("source", "source", "who may send events here, and what came of them",
         ("list", "show", "events", "event", "replay")),
    Noun("incident", "incident", "what went wrong, and what to do about it", ("list", "show", "ack", "resolve")),
    Noun("key", "key", "API keys for programs that use the HTTP API", ("create", "list", "rotate", "revoke")),
    Noun("backup", "backup", "backups: make them, prove that they can be restored, keep them",
         ("create", "list", "show", "verify", "drill", "prune")),
    Noun("restore", "restore", "put a backup in place; nothing is sent twice by it", ("plan", "apply")),
    Noun("config", "config", "the configuration", ("check", "show", "path", "set", "unset")),
    Noun("status", "status", "the situation: who delivers, what waits, what is wrong"),
    Noun("metrics", "metrics", "figures for Prometheus: outbox, targets, holds, incidents, audit log"),
    Noun("health", "health", "every quick check, with what to do"),
    Noun("doctor", "health", "the slow checks too; --fix mends what is safe to mend"),
    Noun("log", "log", "the engine's log"),
    Noun("completion", "completion", "print the completion script of a shell"),
)  # fmt: skip

LATER = frozenset({"template", "schedule", "exec", "ping"})
"""Verbs of the contract that a later version brings."""

HUSHED = frozenset({"backup", "init", "key", "restore", "secret"})
"""Nouns that are about secrets or ask for a passphrase: a word out of place may be one, and no error repeats it."""


def noun(name: str) -> Noun | None:
    """Return the noun of that name."""
    return next((one for one in NOUNS if one.name == name), None)


def verb(name: str) -> Verb:
    """Load the module of the verb called `name` ("outbox list") and return the verb."""
    found = noun(name.partition(" ")[0])
    assert found is not None, "called with names of the catalogue only"
    verbs: tuple[Verb, ...] = import_module(f"chronos_tui.commands.{found.module}").VERBS
    return next(one for one in verbs if one.name == name)


def verb_names(chosen: Noun) -> tuple[str, ...]:
    """Return the full names of a noun's verbs."""
    return tuple(f"{chosen.name} {word}" for word in chosen.verbs) or (chosen.name,)
