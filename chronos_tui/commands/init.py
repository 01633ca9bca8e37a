"""`chronos init`: the data directory and a configuration to start from. Overwrites nothing that is there."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from pathlib import Path

from chronos_tui import bridge
from chronos_tui.actor import actor
from chronos_tui.commands import asking
from chronos_tui.commands.parsing import Arguments, Verb
from chronos_tui.commands.secret import PLACES, create_vault
from chronos_tui.commands.session import Session


@dataclass(frozen=True, slots=True)
class _Made:
    """What was found or made. queued: how many of the demo's messages. vault: None before there is one."""

    paths: bridge.Paths
    new_config: bool
    queued: int
    vault: bridge.VaultState | None = None


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--demo", action="store_true", help="sample targets on a mail and web server of its own")
    parser.add_argument("--sample", action="store_true", help="with --demo: queue another set of sample messages")
    parser.add_argument(
        "--root-key",
        metavar="WHERE",
        choices=PLACES,
        help="where the root key of the vault lies: keyring, file, credential or passphrase",
    )


def init(session: Session, given: Arguments) -> int:
    bridge.harden()
    if given.sample and not given.demo:
        raise bridge.BadInput("--sample belongs to --demo")
    paths = _with_own_config(session)
    bridge.ensure_private_dir(paths.data_dir)
    new_config = not os.path.lexists(paths.config_file)
    if new_config:
        _write_config(paths, demo=given.demo)
    made = _open(session, paths, given, new_config=new_config)
    made = replace(made, vault=_choose_root_key(session, paths, given))
    _report(session, made, demo=given.demo)
    return 0


def _with_own_config(session: Session) -> bridge.Paths:
    """Put config.yaml into a data directory that was named, so that it holds everything; else where it always lies."""
    paths = session.paths()
    named_dir = session.data_dir is not None or bool(session.env.get("CHRONOS_DATA_DIR"))
    named_file = session.config is not None or any(
        session.env.get(name) for name in ("CHRONOS_CONFIG_FILE", "CONFIGURATION_DIRECTORY")
    )
    if not named_dir or named_file:
        return paths
    return bridge.paths(session.data_dir, str(paths.data_dir / bridge.CONFIG_NAME), session.env)


def _write_config(paths: bridge.Paths, *, demo: bool) -> None:
    if demo:
        from chronos_tui.commands.demo import config_text

        content = config_text()
    else:
        content = bridge.default_text()
    bridge.ensure_private_dir(paths.config_file.parent)
    bridge.write_atomic(paths.config_file, content.encode())


def _open(session: Session, paths: bridge.Paths, given: Arguments, *, new_config: bool) -> _Made:
    settings = bridge.load_settings(paths, session.env)
    if given.demo and not settings.demo["sink"]:
        raise bridge.NotPossible(
            f"{paths.config_file}: is there already and is no demo's; "
            "name another place: chronos --data-dir DIR init --demo"
        )
    queued = 0
    engine = bridge.Intake.open(paths, session.env, actor=actor("cli", session.env), settings=settings)
    try:
        if given.demo:
            from chronos_tui.commands.demo import samples

            done = engine.enqueue_many(samples(another=given.sample))
            queued = sum(one.created for one in done)
    finally:
        engine.close()
    return _Made(engine.paths, new_config, queued)


def _choose_root_key(session: Session, paths: bridge.Paths, given: Arguments) -> bridge.VaultState | None:
    """Make the vault where a place was named, or is chosen on a terminal; else with the first secret."""
    asked = given.root_key is None and asking.can_ask() and not (given.demo or session.out.json or session.out.quiet)
    engine = bridge.Engine.open(paths, session.env, actor=actor("cli", session.env))
    try:
        there = engine.vault()
        if there is not None and given.root_key in (None, there.provider.value):
            return there
        if not engine.settings.security["encryption_enabled"] and given.root_key is None:
            return None
        chosen = asking.place(session, engine) if asked else given.root_key
        return None if chosen is None else create_vault(session, engine, chosen)
    finally:
        engine.close()


def _report(session: Session, made: _Made, *, demo: bool) -> None:
    paths = made.paths
    if session.out.json:
        session.out.document(
            {
                "data_dir": str(paths.data_dir),
                "database": str(paths.database),
                "config_file": str(paths.config_file),
                "config_written": made.new_config,
                "demo": demo,
                "queued": made.queued,
                "vault": bridge.vault_shape(made.vault),
            }
        )
        return
    kept = "" if made.new_config else " (was there, kept)"
    session.out.done(f"data directory  {paths.data_dir}")
    session.out.done(f"configuration   {paths.config_file}{kept}")
    if made.vault is not None:
        session.out.done(f"root key        {made.vault.root_id}: {made.vault.words}")
    options = "" if session.data_dir is None else f" --data-dir {_shell_word(session.data_dir)}"
    if demo:
        session.out.done(f"queued          {made.queued} sample messages")
        session.out.done(
            f"next: 'chronos-tui{options}' opens the cockpit and delivers; 'chronos{options} outbox list' lists them"
        )
    else:
        session.out.done(
            f"next: name a target in {Path(paths.config_file).name}, then 'chronos{options} send TARGET --text hello'"
        )


def _shell_word(word: str) -> str:
    from shlex import quote

    return quote(word)


VERBS = (
    Verb(
        "init",
        "make the data directory and a configuration to start from",
        init,
        ("chronos init --root-key file", "chronos --data-dir ~/chronos-demo init --demo"),
        arguments,
        details=(
            "Nothing needs it: the first use creates the data directory too. What is there is kept.\n"
            "--demo writes a configuration with a mail and a web server that the engine runs itself on loopback,\n"
            "targets that accept, fail once and refuse, and queues messages to them. Nothing leaves the machine.\n"
            "Where the root key of the vault shall lie is asked on a terminal; docs/secrets.md compares the places."
        ),
    ),
)
