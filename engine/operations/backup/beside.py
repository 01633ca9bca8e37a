"""What goes into a backup beside the database: configuration and templates. Follows no link out of their folder."""

from __future__ import annotations

from pathlib import Path

from engine.errors import ConfigError
from engine.host.files import read_small
from engine.host.paths import Paths
from engine.operations.backup import untouchable
from engine.operations.context import Context
from engine.rules.backups import CONFIG, MOST_MEMBERS, MOST_SMALL_BYTES, TEMPLATES, allowed
from engine.rules.durations import format_size

_MOST_BESIDE_BYTES = 64 * 1024 * 1024
"""Of configuration and templates together, which are held in memory."""

_OTHER_MEMBERS = 4
"""The database, RESTORE.md, the manifest and the sums."""


def files(context: Context) -> list[tuple[str, bytes]]:
    """Return configuration and templates, in the order of an archive. What cannot go in is left out, and said."""
    paths = context.machine.paths
    if paths is None:
        return []
    found: list[tuple[str, bytes]] = []
    left = _MOST_BESIDE_BYTES
    for name, path in [(CONFIG, paths.config_file), *_templates(context, paths)]:
        try:
            _may_go_in(context, name, path)
            if len(found) == MOST_MEMBERS - _OTHER_MEMBERS:
                raise ConfigError([f"is one of more than {len(found)} files, which is all that a backup takes"])
            data = read_small(path, MOST_SMALL_BYTES)
            if len(data) > left:
                raise ConfigError([f"is beyond the {format_size(_MOST_BESIDE_BYTES)} that a backup takes of these"])
        except FileNotFoundError:
            continue
        except ConfigError as error:
            context.log.event("WARNING", "backup_left_out", file=str(path), reason=str(error))
            continue
        left -= len(data)
        found.append((name, data))
    return found


def _templates(context: Context, paths: Paths) -> list[tuple[str, Path]]:
    folder = paths.config_file.with_name(TEMPLATES.rstrip("/"))
    try:
        return sorted((f"{TEMPLATES}{path.name}", path) for path in folder.iterdir() if not path.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        context.log.event("WARNING", "backup_left_out", file=str(folder), reason=error.strerror or str(error))
        return []


def _may_go_in(context: Context, name: str, path: Path) -> None:
    """Raise ConfigError for what is left out. A template that is a link may lead to a key, whatever it is called."""
    if not allowed(name):
        raise ConfigError(["has a name that a backup does not take"])
    if name != CONFIG and path.is_symlink():
        raise ConfigError(["is a link, which a backup does not follow"])
    if untouchable.in_use(context, path):
        raise ConfigError(["is the database that is in use"])
