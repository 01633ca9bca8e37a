"""The only importer of engine: hands its names to the front ends, each module loaded when a name is first asked for.

Decides nothing. `from chronos_tui import bridge` costs nothing; `bridge.Engine` loads the engine. So `chronos send`
never pays for what it does not use, and the headless process alone loads the logs.
"""

# ruff: noqa: PLC0414 - "X as X" is how a module hands a name on under mypy --strict

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine import __version__ as __version__
    from engine.clock import SystemClock as SystemClock
    from engine.engine import Engine as Engine
    from engine.errors import BadInput as BadInput
    from engine.errors import ChronosError as ChronosError
    from engine.errors import ConfigError as ConfigError
    from engine.errors import DatabaseUnusable as DatabaseUnusable
    from engine.errors import NotFound as NotFound
    from engine.errors import NotPossible as NotPossible
    from engine.errors import TryAgain as TryAgain
    from engine.host.config.checks import warnings as config_warnings
    from engine.host.config.edit import set_value as set_value
    from engine.host.config.edit import unset as unset
    from engine.host.config.reference import all_keys as all_keys
    from engine.host.config.show import Entry as ConfigEntry
    from engine.host.config.show import entries as config_entries
    from engine.host.config.splice import flow as flow
    from engine.host.config.starter import default_text as default_text
    from engine.host.files import ensure_private_dir as ensure_private_dir
    from engine.host.files import write_atomic as write_atomic
    from engine.host.log import CHANNELS as LOG_CHANNELS
    from engine.host.log import LEVELS as LOG_LEVELS
    from engine.host.log import Log as Log
    from engine.host.logread import read as read_log
    from engine.host.logs import Logs as Logs
    from engine.host.logs import configure as configure_logs
    from engine.host.logs import get as get_log
    from engine.host.paths import CONFIG_NAME as CONFIG_NAME
    from engine.host.paths import Paths as Paths
    from engine.host.paths import paths as paths
    from engine.host.process import harden as harden
    from engine.host.sink import Sink as Sink
    from engine.host.systemd import notify as notify
    from engine.host.systemd import watchdog_interval_s as watchdog_interval_s
    from engine.intake import Intake as Intake
    from engine.model import Attachment as Attachment
    from engine.model import Attempt as Attempt
    from engine.model import Content as Content
    from engine.model import Hold as Hold
    from engine.model import Message as Message
    from engine.model import NewMessage as NewMessage
    from engine.model import OnUncertain as OnUncertain
    from engine.model import Priority as Priority
    from engine.model import Settings as Settings
    from engine.model import State as State
    from engine.operations.acts import Action as Action
    from engine.operations.auditing import Entry as AuditEntry
    from engine.operations.bulk import Bulk as Bulk
    from engine.operations.bulk import Frozen as Frozen
    from engine.operations.configuring import load as load_settings
    from engine.operations.configuring import load_light as load_settings_light
    from engine.operations.enqueue import Enqueued as Enqueued
    from engine.operations.health import Check as Check
    from engine.operations.health import Level as Level
    from engine.operations.reading import Detail as Detail
    from engine.operations.reading import Page as Page
    from engine.operations.reading import TargetState as TargetState
    from engine.rules.durations import format_duration as format_duration
    from engine.rules.durations import format_size as format_size
    from engine.rules.durations import parse_duration_ms as parse_duration_ms
    from engine.rules.durations import parse_time_ms as parse_time_ms
    from engine.rules.durations import rfc3339 as rfc3339
    from engine.rules.filters import AUDIT as AUDIT_FIELDS
    from engine.rules.filters import OUTBOX as OUTBOX_FIELDS
    from engine.rules.filters import complete as complete_filter
    from engine.rules.redact import Redactor as Redactor
    from engine.rules.states import accepts as accepts
    from engine.rules.states import why_not as why_not
    from engine.rules.text import safe_block as safe_block
    from engine.rules.text import safe_line as safe_line
    from engine.rules.text import suggest as suggest

__all__ = [  # renamed on the way, which "as" alone does not hand on
    "AUDIT_FIELDS",
    "LOG_CHANNELS",
    "LOG_LEVELS",
    "OUTBOX_FIELDS",
    "AuditEntry",
    "ConfigEntry",
    "complete_filter",
    "config_entries",
    "config_warnings",
    "configure_logs",
    "get_log",
    "load_settings",
    "load_settings_light",
    "read_log",
]

_HOMES = {
    "engine": ("__version__",),
    "engine.clock": ("SystemClock",),
    "engine.engine": ("Engine",),
    "engine.errors": (
        "BadInput",
        "ChronosError",
        "ConfigError",
        "DatabaseUnusable",
        "NotFound",
        "NotPossible",
        "TryAgain",
    ),
    "engine.host.config.checks": ("config_warnings=warnings",),
    "engine.host.config.edit": ("set_value", "unset"),
    "engine.host.config.reference": ("all_keys",),
    "engine.host.config.show": ("ConfigEntry=Entry", "config_entries=entries"),
    "engine.host.config.splice": ("flow",),
    "engine.host.config.starter": ("default_text",),
    "engine.host.files": ("ensure_private_dir", "write_atomic"),
    "engine.host.log": ("LOG_CHANNELS=CHANNELS", "LOG_LEVELS=LEVELS", "Log"),
    "engine.host.logread": ("read_log=read",),
    "engine.host.logs": ("Logs", "configure_logs=configure", "get_log=get"),
    "engine.host.paths": ("CONFIG_NAME", "Paths", "paths"),
    "engine.host.process": ("harden",),
    "engine.host.sink": ("Sink",),
    "engine.host.systemd": ("notify", "watchdog_interval_s"),
    "engine.intake": ("Intake",),
    "engine.model": (
        "Attachment",
        "Attempt",
        "Content",
        "Hold",
        "Message",
        "NewMessage",
        "OnUncertain",
        "Priority",
        "Settings",
        "State",
    ),
    "engine.operations.acts": ("Action",),
    "engine.operations.auditing": ("AuditEntry=Entry",),
    "engine.operations.bulk": ("Bulk", "Frozen"),
    "engine.operations.configuring": ("load_settings=load", "load_settings_light=load_light"),
    "engine.operations.enqueue": ("Enqueued",),
    "engine.operations.health": ("Check", "Level"),
    "engine.operations.reading": ("Detail", "Page", "TargetState"),
    "engine.rules.durations": (
        "format_duration",
        "format_size",
        "parse_duration_ms",
        "parse_time_ms",
        "rfc3339",
    ),
    "engine.rules.filters": ("AUDIT_FIELDS=AUDIT", "OUTBOX_FIELDS=OUTBOX", "complete_filter=complete"),
    "engine.rules.redact": ("Redactor",),
    "engine.rules.states": ("accepts", "why_not"),
    "engine.rules.text": ("safe_block", "safe_line", "suggest"),
}
"""Module → its names here; "ours=theirs" where a name alone would say too little."""


def __getattr__(name: str) -> Any:
    """Load the engine's module that holds `name`. Raises AttributeError for a name that is not listed."""
    from importlib import import_module

    for module, names in _HOMES.items():
        for entry in names:
            ours, _, theirs = entry.partition("=")
            if ours == name:
                found = getattr(import_module(module), theirs or ours)
                globals()[name] = found
                return found
    raise AttributeError(f"the bridge hands out no {name!r}")
