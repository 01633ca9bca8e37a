"""The configuration as a whole: file, environment and what the channels have to say about their targets."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from engine.channels import registry
from engine.errors import ConfigError
from engine.host.config import cache
from engine.host.paths import Paths
from engine.model import Settings
from engine.operations.context import Context, writable
from engine.store import audit
from engine.store.tx import Tx


def load_light(paths: Paths, env: Mapping[str, str]) -> Settings:
    """Return the effective configuration from its cache where nothing changed, else read it. `origin` may be empty.

    Raises ConfigError with all problems.
    """
    return cache.load_cached(paths, env, lambda: load(paths, env))


def load(paths: Paths, env: Mapping[str, str], text: bytes | None = None) -> Settings:
    """Read and judge the configuration. `text`: judge these bytes instead of the file's.

    Raises ConfigError with all problems.
    """
    from engine.host.config.load import hostname
    from engine.host.config.load import load as read

    settings = read(paths, env, registry.options_model, hostname=hostname(), text=text)
    problems = [
        f"{paths.config_file.name}: targets.{name}: {problem}"
        for name, spec in settings.targets.items()
        if spec.channel not in registry.RESERVED
        for problem in registry.channel_type(spec.channel).check(spec, production=settings.production)
    ]
    if problems:
        raise ConfigError(problems)
    return settings


def digest(settings: Settings) -> str:
    """Return the SHA-256, in hex, of the effective configuration: what the audit log says was in force."""
    return hashlib.sha256(cache.settings_to_json(settings).encode()).hexdigest()


def judge_door(settings: Settings) -> None:
    """Raise ConfigError where the HTTP door must not be opened as configured; nothing else minds such a mistake."""
    from engine.host.config.checks import refusals

    if found := refusals(settings):
        raise ConfigError(found)


def needs_restart(before: Settings, after: Settings) -> list[str]:
    """Return what changed and is only looked at when an engine starts."""
    sections = [name for name in ("database", "demo", "logging") if getattr(before, name) != getattr(after, name)]
    return [*sections, "outbox.senders"] if before.outbox["senders"] != after.outbox["senders"] else sections


def note_reload(context: Context, settings: Settings) -> None:
    """Put the new configuration in force; an audit entry names its digest. Raises NotPossible if read-only."""
    writable(context)
    from engine.operations import configwatch  # and incidents with it, which a command from cron need not load

    now_ms = context.clock.now_ms()
    configwatch.take(context)
    detail = {"sha256": digest(settings), "targets": len(settings.targets), **configwatch.said(context)}

    def work(tx: Tx) -> None:
        configwatch.reloaded(tx, context)
        audit.append(tx, now_ms, context.actor, "config.loaded", "config", detail)

    context.database.write(work)
    context.settings = settings
