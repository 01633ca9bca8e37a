"""A restore for who cannot open the data directory: finds configuration, file and key, then plans or puts in site.

No engine is opened, because there is no database, or none that opens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.clock import SystemClock
from engine.host.files import ensure_private_dir
from engine.host.log import NullLog
from engine.host.paths import Paths, with_database
from engine.model import Settings
from engine.operations import configuring

if TYPE_CHECKING:
    from engine.operations.backup.unlocking import Opener
    from engine.operations.commanding import Report
    from engine.operations.restore.restoring import Plan


class Site(NamedTuple):
    """Where to restore to and how. env: what secrets are looked up in. actor: who acts, for the audit log."""

    paths: Paths
    env: Mapping[str, str]
    actor: str


def missing(site: Site) -> bool:
    """Whether there is no database, as on a clean machine. Creates nothing. Raises ConfigError."""
    return not _known(site)[1].database.exists()


def plan(
    site: Site, word: str, *, trust: Sequence[str] = (), opener: Opener | None = None, report: Report | None = None
) -> Plan:
    """Say what a restore would put in site. word: a path, or a name in the folder of backups.

    Raises NotFound, ArchiveRefused, BadInput and NotPossible where nothing opens the file, StorageFull, ConfigError.
    """
    from engine.operations.restore import restoring

    settings, paths = _known(site)
    with _plain(settings, paths, site, word, opener) as file:
        return restoring.plan_without(
            paths,
            settings,
            site.env,
            file,
            actor=site.actor,
            clock=SystemClock(),
            log=NullLog(),
            report=report,
            trust=trust,
        )


def rescue(
    site: Site,
    word: str,
    *,
    with_configuration: bool = False,
    trust: Sequence[str] = (),
    planned: str = "",
    opener: Opener | None = None,
    report: Report | None = None,
) -> Mapping[str, Any]:
    """Put a backup in place; return what restored.document says of it. What lay there is set aside.

    planned: the sum of the archive that somebody saw a plan of.

    Raises what `plan` raises, AlreadyOwned while an engine runs.
    """
    from engine.operations.restore import rescuing, restored

    settings, paths = _known(site)
    with _plain(settings, paths, site, word, opener) as file:
        done = rescuing.rescue(
            paths,
            settings,
            site.env,
            file,
            actor=site.actor,
            clock=SystemClock(),
            log=NullLog(),
            with_configuration=with_configuration,
            trust=trust,
            planned=planned,
            report=report,
        )
    return restored.document(done)


def _known(site: Site) -> tuple[Settings, Paths]:
    settings = configuring.load_light(site.paths, site.env)
    return settings, with_database(site.paths, settings.database["url"])


@contextmanager
def _plain(settings: Settings, paths: Paths, site: Site, word: str, opener: Opener | None) -> Iterator[Path]:
    """Give the ZIP, decrypted where it has to be, by what was named or by what the environment holds."""
    from engine.operations.backup import backups, drilling
    from engine.operations.restore.staging import without_database

    ensure_private_dir(paths.data_dir)  # a clean machine has none, and what is unpacked needs room somewhere
    with (
        without_database(paths, settings, site.env, actor=site.actor, clock=SystemClock(), log=NullLog()) as context,
        drilling.plain(context, backups.find_file(context, word), opener) as file,
    ):
        yield file
