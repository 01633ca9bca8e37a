"""Shell completion by argcomplete. Loaded only when a shell asks (_ARGCOMPLETE is set), so that no command pays for it.

What may follow is taken from the running configuration; where that cannot be read, nothing is offered.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import argcomplete
from argcomplete.completers import DirectoriesCompleter, FilesCompleter

from chronos_tui import bridge
from chronos_tui.commands import catalogue, parsing

Completer = Callable[..., Iterable[str]]

_SUFFIXES = (".zip", ".zip.age")


def answer() -> None:
    """Write what may stand at the cursor for the shell, and leave the process."""
    argcomplete.autocomplete(tree(), always_complete_options=False, append_space=False)


def tree() -> argparse.ArgumentParser:
    """Build the parsers of all verbs as one tree, with completers where names are known."""
    root = argparse.ArgumentParser(prog="chronos", add_help=False)
    parsing.add_common(root)
    nouns = root.add_subparsers()
    for noun in catalogue.NOUNS:
        if not noun.verbs:
            _add(nouns, noun.name, catalogue.verb(noun.name))
            continue
        words = nouns.add_parser(noun.name, add_help=False, help=noun.help).add_subparsers()
        for word in noun.verbs:
            _add(words, word, catalogue.verb(f"{noun.name} {word}"))
    return root


def _add(parent: Any, word: str, verb: parsing.Verb) -> None:
    parser = parent.add_parser(word, add_help=False, help=verb.help)  # zsh and fish show it
    parsing.fill(parser, verb)
    fields = bridge.AUDIT_FIELDS if verb.name.startswith("audit") else bridge.OUTBOX_FIELDS
    by_name: dict[str, Completer] = {
        "target": targets,
        "name": targets,
        "scope": scopes,
        "state": states,
        "key": config_keys,
        "filter": filter_completer(fields),
    }
    if verb.name.startswith(("backup ", "restore ")):
        by_name |= {"file": backups, "out": DirectoriesCompleter()}
    # argparse has no other way to look at what was added to a parser.
    for action in parser._actions:  # noqa: SLF001
        if action.dest in by_name and action.choices is None:
            action.completer = by_name[action.dest]


def targets(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return the names of targets and routes."""
    settings = _settings(parsed_args)
    return [] if settings is None else [*settings.targets, *settings.routes]


def scopes(parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return what can be paused."""
    settings = _settings(parsed_args)
    if settings is None:
        return ["all"]
    channels = sorted({spec.channel for spec in settings.targets.values()})
    return ["all", *(f"channel:{name}" for name in channels), *(f"target:{name}" for name in settings.targets)]


def states(**_: object) -> list[str]:
    """Return the states of a message."""
    return [state.value for state in bridge.State]


def config_keys(**_: object) -> list[str]:
    """Return the keys of the configuration."""
    return [key.name for key in bridge.all_keys()]


def backups(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
    """Return the backups in their folder by name, and files of that kind where a path was begun."""
    settings, paths = _settings(parsed_args), _paths(parsed_args)
    found: list[str] = []
    if settings is not None and paths is not None:
        with contextlib.suppress(OSError):
            folder = paths.data_dir / Path(settings.backup["directory"]).expanduser()
            found = sorted((file.name for file in folder.iterdir() if file.name.endswith(_SUFFIXES)), reverse=True)
    return [*found, *FilesCompleter(("zip", "age"))(prefix)]


def filter_completer(fields: Any) -> Completer:
    """Return a completer of filter expressions in a dialect."""

    def complete(prefix: str, parsed_args: argparse.Namespace, **_: object) -> list[str]:
        settings = _settings(parsed_args)
        known = {} if settings is None else {"target": list(settings.targets), "route": list(settings.routes)}
        before = prefix[: len(prefix) - len(prefix.rpartition(" ")[2])]
        return [before + term for term in bridge.complete_filter(prefix, len(prefix), known, fields)]

    return complete


def _settings(parsed_args: argparse.Namespace) -> bridge.Settings | None:
    """Read the configuration without creating anything; a completion has no way to say what is wrong with it."""
    paths = _paths(parsed_args)
    try:
        return None if paths is None else bridge.load_settings_light(paths, os.environ)
    except bridge.ChronosError:
        return None


def _paths(parsed_args: argparse.Namespace) -> bridge.Paths | None:
    try:
        return bridge.paths(getattr(parsed_args, "data_dir", None), getattr(parsed_args, "config", None), os.environ)
    except bridge.ChronosError:
        return None
