"""Where things lie. Decides paths from options and environment; opens and creates nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from engine.errors import BadInput

CONFIG_NAME = "config.yaml"


class Paths(NamedTuple):
    """Every path that Chronos uses, absolute.

    degraded: a marker file; it exists from a failed fsync until the database was rewritten.
    config_cache: the effective configuration in JSON, so that short commands need not parse YAML.
    config_named: whether somebody named the configuration file itself: then it has to exist.
    """

    data_dir: Path
    database: Path
    engine_lock: Path
    write_lock: Path
    degraded: Path
    logs: Path
    backups: Path
    config_file: Path
    config_cache: Path
    config_named: bool = False


def paths(data_dir_option: str | None, config_option: str | None, env: Mapping[str, str]) -> Paths:
    """Put both decisions together; `database` is the default until `with_database` has seen the configuration.

    Raises BadInput if a name is empty or no home directory can be found.
    """
    directory = data_dir(data_dir_option, env)
    return Paths(
        data_dir=directory,
        database=directory / "chronos.db",
        engine_lock=directory / "engine.lock",
        write_lock=directory / "write.lock",
        degraded=directory / "DEGRADED",
        logs=directory / "logs",
        backups=directory / "backups",
        config_file=config_file(config_option, env, directory, named=_names_data_dir(data_dir_option, env)),
        config_cache=directory / "config.cache.json",
        config_named=bool(config_option or env.get("CHRONOS_CONFIG_FILE")),
    )


def with_database(known: Paths, url: str) -> Paths:
    """Apply `database.url`.

    A database outside the data directory takes its locks and its marker with it: they guard the file, and two data
    directories that name the same file must meet at the same lock.
    """
    file = database_file(url, known.data_dir)
    if file == known.database:
        return known
    if file.is_relative_to(known.data_dir):
        return known._replace(database=file)
    return known._replace(
        database=file,
        engine_lock=file.with_name(f"{file.name}.engine.lock"),
        write_lock=file.with_name(f"{file.name}.write.lock"),
        degraded=file.with_name(f"{file.name}.DEGRADED"),
    )


def database_file(url: str, directory: Path) -> Path:
    """Turn `sqlite:///chronos.db` (relative to the data directory) or `sqlite:////srv/chronos.db` into a path.

    Raises BadInput for anything but a file of SQLite.
    """
    scheme, separator, rest = url.partition(":///")
    if not separator or scheme not in {"sqlite", "sqlite+aiosqlite"}:
        raise BadInput("must be sqlite:///FILE (relative to the data directory) or sqlite:////ABSOLUTE/FILE")
    if rest in {"", ":memory:"} or rest.endswith("/"):
        raise BadInput("must name a file: an outbox in memory would forget its messages")
    if "?" in rest or "#" in rest or not rest.isprintable():
        raise BadInput("must be a plain file name without options (?, #) or control characters")
    return Path(os.path.abspath(directory / rest))  # noqa: PTH100 - Path.resolve would follow links that may change


def data_dir(option: str | None, env: Mapping[str, str]) -> Path:
    """Choose: `--data-dir`, CHRONOS_DATA_DIR, systemd's STATE_DIRECTORY, the platform's directory for user data.

    Raises BadInput if the chosen name is empty or no home directory can be found.
    """
    if option is not None:
        return _absolute(option, "--data-dir", env)
    if named := env.get("CHRONOS_DATA_DIR"):
        return _absolute(named, "CHRONOS_DATA_DIR", env)
    if state := env.get("STATE_DIRECTORY"):
        # systemd joins several directories by ":".
        return _absolute(state.split(":", maxsplit=1)[0], "STATE_DIRECTORY", env)
    return _platform_dir(env, "XDG_DATA_HOME", (".local", "share"), "user_data_dir")


def config_file(option: str | None, env: Mapping[str, str], directory: Path, *, named: bool | None = None) -> Path:
    """Choose: `--config`, CHRONOS_CONFIG_FILE, a named data directory's own config.yaml, systemd's, the platform's.

    A data directory that was named by option or variable and holds a config.yaml is self-contained: its file wins over
    CONFIGURATION_DIRECTORY and the platform's. `named` None: whether CHRONOS_DATA_DIR names it.

    Raises BadInput if the chosen name is empty or no home directory can be found.
    """
    if option is not None:
        return _absolute(option, "--config", env)
    if chosen := env.get("CHRONOS_CONFIG_FILE"):
        return _absolute(chosen, "CHRONOS_CONFIG_FILE", env)
    if named is None:
        named = _names_data_dir(None, env)
    own = directory / CONFIG_NAME
    if named and os.path.lexists(own):
        return own
    if systemd := env.get("CONFIGURATION_DIRECTORY"):
        return _absolute(systemd.split(":", maxsplit=1)[0], "CONFIGURATION_DIRECTORY", env) / CONFIG_NAME
    return _platform_dir(env, "XDG_CONFIG_HOME", (".config",), "user_config_dir") / CONFIG_NAME


def _names_data_dir(option: str | None, env: Mapping[str, str]) -> bool:
    return option is not None or bool(env.get("CHRONOS_DATA_DIR"))


def _absolute(name: str, source: str, env: Mapping[str, str]) -> Path:
    if not name or "\0" in name:
        raise BadInput(f"{source}: must name a path; it is empty or holds a NUL")
    if name == "~" or name.startswith("~/"):
        # A crontab's environment is not expanded by a shell.
        name = str(_home(env)) + name[1:]
    return Path(os.path.abspath(name))  # noqa: PTH100 - Path.absolute keeps "..", Path.resolve follows links


def _home(env: Mapping[str, str]) -> Path:
    home = env.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where this returns "~"
    if not home.startswith(os.sep):
        raise BadInput("no home directory is known: name one with --data-dir or CHRONOS_DATA_DIR")
    return Path(home)


def _platform_dir(env: Mapping[str, str], variable: str, below_home: tuple[str, ...], function: str) -> Path:
    """Follow the XDG directories on Linux by hand: importing platformdirs costs more than starting Python."""
    if sys.platform == "linux":
        named = env.get(variable, "")
        # The XDG specification: a relative path is invalid and must be ignored.
        return (Path(named) if named.startswith("/") else _home(env).joinpath(*below_home)) / "chronos"
    import platformdirs  # type: ignore[unreachable, unused-ignore]

    chosen = Path(getattr(platformdirs, function)("chronos", appauthor=False))
    if not chosen.is_absolute():
        raise BadInput("no home directory is known: name one with --data-dir or CHRONOS_DATA_DIR")
    return chosen
