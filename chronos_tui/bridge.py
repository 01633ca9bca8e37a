"""The only importer of engine: hands its names to the front ends, each module loaded when a name is first asked for.

Decides nothing. `from chronos_tui import bridge` costs nothing; `bridge.Engine` loads the engine. So `chronos send`
never pays for what it does not use, and the headless process alone loads the logs.
"""

# ruff: noqa: PLC0414 - "X as X" is how a module hands a name on under mypy --strict

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chronos_tui.bridgenames import HOMES

if TYPE_CHECKING:
    from engine import __version__ as __version__
    from engine.clock import SystemClock as SystemClock
    from engine.engine import Engine as Engine
    from engine.errors import AlreadyOwned as AlreadyOwned
    from engine.errors import ArchiveRefused as ArchiveRefused
    from engine.errors import BadInput as BadInput
    from engine.errors import ChronosError as ChronosError
    from engine.errors import ConfigError as ConfigError
    from engine.errors import DatabaseBusy as DatabaseBusy
    from engine.errors import DatabaseUnusable as DatabaseUnusable
    from engine.errors import DeadlineExceeded as DeadlineExceeded
    from engine.errors import Degraded as Degraded
    from engine.errors import NotFound as NotFound
    from engine.errors import NotPossible as NotPossible
    from engine.errors import StorageFull as StorageFull
    from engine.errors import TryAgain as TryAgain
    from engine.errors import VaultDamaged as VaultDamaged
    from engine.errors import VaultLocked as VaultLocked
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
    from engine.model import FINAL_STATES as FINAL_STATES
    from engine.model import Attachment as Attachment
    from engine.model import Attempt as Attempt
    from engine.model import Content as Content
    from engine.model import Hold as Hold
    from engine.model import Message as Message
    from engine.model import NewMessage as NewMessage
    from engine.model import OnUncertain as OnUncertain
    from engine.model import Priority as Priority
    from engine.model import ProbeStep as ProbeStep
    from engine.model import Role as Role
    from engine.model import RouteStep as RouteStep
    from engine.model import Settings as Settings
    from engine.model import State as State
    from engine.model import TargetSpec as TargetSpec
    from engine.operations.activity import MINUTE_MS as MINUTE_MS
    from engine.operations.activity import Activity as Activity
    from engine.operations.acts import UNDOABLE as UNDOABLE
    from engine.operations.acts import Act as Act
    from engine.operations.acts import Action as Action
    from engine.operations.apikeys import LONGEST_OVERLAP_MS as LONGEST_OVERLAP_MS
    from engine.operations.apikeys import ApiKey as ApiKey
    from engine.operations.apikeys import Created as CreatedKey
    from engine.operations.auditing import Entry as AuditEntry
    from engine.operations.auditing import Page as AuditPage
    from engine.operations.backup.archiveshapes import backup_in_full_shape as backup_in_full_shape
    from engine.operations.backup.archiveshapes import backup_shape as backup_shape
    from engine.operations.backup.archiveshapes import restore_plan_shape as restore_plan_shape
    from engine.operations.backup.archiveshapes import retention_shape as retention_shape
    from engine.operations.backup.archiveshapes import standing_shape as standing_shape
    from engine.operations.backup.archiveshapes import verdict_shape as verdict_shape
    from engine.operations.backup.backups import Backup as Backup
    from engine.operations.backup.backups import Copy as BackupCopy
    from engine.operations.backup.backupstanding import Standing as BackupStanding
    from engine.operations.backup.drilling import Opener as Opener
    from engine.operations.backup.drilling import Verdict as Verdict
    from engine.operations.backup.retaining import Decision as Decision
    from engine.operations.bulk import Bulk as Bulk
    from engine.operations.bulk import Frozen as Frozen
    from engine.operations.commanding import Command as EngineCommand
    from engine.operations.commanding import Stopped as Stopped
    from engine.operations.configuring import judge_door as judge_door
    from engine.operations.configuring import load as load_settings
    from engine.operations.configuring import load_light as load_settings_light
    from engine.operations.enqueue import Enqueued as Enqueued
    from engine.operations.enqueue import prepare as check_message
    from engine.operations.enqueue import resolve as resolve_target
    from engine.operations.health import Check as Check
    from engine.operations.health import Level as Level
    from engine.operations.holding import LONGEST_MS as LONGEST_HOLD_MS
    from engine.operations.inbound import Event as Event
    from engine.operations.inbound import SourceState as SourceState
    from engine.operations.incidents import Incident as Incident
    from engine.operations.pruning import Archives as Archives
    from engine.operations.pruning import Pruned as Pruned
    from engine.operations.reading import COUNT_MOST as COUNT_MOST
    from engine.operations.reading import Detail as Detail
    from engine.operations.reading import Page as Page
    from engine.operations.reading import TargetState as TargetState
    from engine.operations.recovery import RecoveryKit as RecoveryKit
    from engine.operations.restore.restoring import Plan as RestorePlan
    from engine.operations.restore.salvaging import Site as Site
    from engine.operations.restore.salvaging import missing as database_missing
    from engine.operations.restore.salvaging import plan as plan_rescue
    from engine.operations.restore.salvaging import rescue as rescue
    from engine.operations.secrets import SecretCheck as SecretCheck
    from engine.operations.secrets import SecretInfo as SecretInfo
    from engine.operations.shapes import api_key as api_key_shape
    from engine.operations.shapes import api_key_created as api_key_created_shape
    from engine.operations.shapes import attempt as attempt_shape
    from engine.operations.shapes import check as check_shape
    from engine.operations.shapes import checkpoint as checkpoint_shape
    from engine.operations.shapes import content as content_shape
    from engine.operations.shapes import detail as detail_shape
    from engine.operations.shapes import entry as entry_shape
    from engine.operations.shapes import event as event_shape
    from engine.operations.shapes import hold as hold_shape
    from engine.operations.shapes import incident as incident_shape
    from engine.operations.shapes import incident_in_full as incident_in_full_shape
    from engine.operations.shapes import message as message_shape
    from engine.operations.shapes import priority_word as priority_word
    from engine.operations.shapes import pruned as pruned_shape
    from engine.operations.shapes import secret as secret_shape
    from engine.operations.shapes import secret_check as secret_check_shape
    from engine.operations.shapes import signing as signing_shape
    from engine.operations.shapes import source as source_shape
    from engine.operations.shapes import vault as vault_shape
    from engine.operations.shapes import verification as verification_shape
    from engine.operations.situation import Owner as Owner
    from engine.operations.situation import Situation as Situation
    from engine.operations.sorting import SortedPage as SortedPage
    from engine.operations.vault import Provider as Provider
    from engine.operations.vault import VaultState as VaultState
    from engine.operations.watching import ChangeFeed as ChangeFeed
    from engine.operations.watching import Topic as Topic
    from engine.operations.witnessing import Comparison as Comparison
    from engine.operations.witnessing import Signing as Signing
    from engine.rules.apikeys import KeyState as KeyState
    from engine.rules.apikeys import Scope as Scope
    from engine.rules.apikeys import check_name as check_key_name
    from engine.rules.apikeys import check_networks as check_networks
    from engine.rules.apikeys import check_scopes as check_key_scopes
    from engine.rules.breaker import BreakerState as BreakerState
    from engine.rules.canonical import ChainResult as ChainResult
    from engine.rules.checkpoints import Checkpoint as Checkpoint
    from engine.rules.durations import compact_duration as compact_duration
    from engine.rules.durations import format_duration as format_duration
    from engine.rules.durations import format_size as format_size
    from engine.rules.durations import parse_duration_ms as parse_duration_ms
    from engine.rules.durations import parse_size as parse_size
    from engine.rules.durations import parse_time_ms as parse_time_ms
    from engine.rules.durations import rfc3339 as rfc3339
    from engine.rules.explain import Explanation as Explanation
    from engine.rules.explain import Line as ExplanationLine
    from engine.rules.filters import AUDIT as AUDIT_FIELDS
    from engine.rules.filters import OUTBOX as OUTBOX_FIELDS
    from engine.rules.filters import Dialect as Dialect
    from engine.rules.filters import Filter as Filter
    from engine.rules.filters import Term as Term
    from engine.rules.filters import complete as complete_filter
    from engine.rules.filters import format as format_filter
    from engine.rules.filters import parse as parse_filter
    from engine.rules.filters import word_start as filter_word_start
    from engine.rules.orders import Order as Order
    from engine.rules.orders import Place as Place
    from engine.rules.orders import place_of as place_of
    from engine.rules.playbook import Page as PlaybookPage
    from engine.rules.playbook import page as playbook_page
    from engine.rules.redact import Redactor as Redactor
    from engine.rules.scopes import scope_of as scope_of
    from engine.rules.scopes import unknown_target as unknown_target
    from engine.rules.states import TRANSITIONS as TRANSITIONS
    from engine.rules.states import accepts as accepts
    from engine.rules.states import why_not as why_not
    from engine.rules.text import safe_block as safe_block
    from engine.rules.text import safe_line as safe_line
    from engine.rules.text import suggest as suggest
    from engine.store.lanes import Lane as Lane
    from engine.store.leader import Leader as Leader

__all__ = [  # renamed on the way, which "as" alone does not hand on
    "AUDIT_FIELDS",
    "LOG_CHANNELS",
    "LOG_LEVELS",
    "LONGEST_HOLD_MS",
    "OUTBOX_FIELDS",
    "AuditEntry",
    "AuditPage",
    "BackupCopy",
    "BackupStanding",
    "ConfigEntry",
    "CreatedKey",
    "EngineCommand",
    "ExplanationLine",
    "PlaybookPage",
    "RestorePlan",
    "api_key_created_shape",
    "api_key_shape",
    "attempt_shape",
    "check_key_name",
    "check_key_scopes",
    "check_message",
    "check_shape",
    "checkpoint_shape",
    "complete_filter",
    "config_entries",
    "config_warnings",
    "configure_logs",
    "content_shape",
    "database_missing",
    "detail_shape",
    "entry_shape",
    "event_shape",
    "filter_word_start",
    "format_filter",
    "get_log",
    "hold_shape",
    "incident_in_full_shape",
    "incident_shape",
    "load_settings",
    "load_settings_light",
    "message_shape",
    "parse_filter",
    "plan_rescue",
    "playbook_page",
    "pruned_shape",
    "read_log",
    "resolve_target",
    "secret_check_shape",
    "secret_shape",
    "signing_shape",
    "source_shape",
    "vault_shape",
    "verification_shape",
]


def __getattr__(name: str) -> Any:
    """Load the engine's module that holds `name`. Raises AttributeError for a name that is not listed."""
    from importlib import import_module

    for module, names in HOMES.items():
        for entry in names:
            ours, _, theirs = entry.partition("=")
            if ours == name:
                found = getattr(import_module(module), theirs or ours)
                globals()[name] = found
                return found
    raise AttributeError(f"the bridge hands out no {name!r}")
