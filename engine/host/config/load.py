"""Reads the configuration: file, environment, schema, cross checks; every problem at once. Changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import BadInput, ConfigError
from engine.host.config import checks, environment, schema
from engine.host.config.build import Builder, ChannelOptions
from engine.host.config.tree import MAX_BYTES, Document, Where, dotted, parse
from engine.host.files import read_small
from engine.host.paths import Paths, database_file
from engine.model import Settings


def load(
    paths: Paths,
    env: Mapping[str, str],
    channel_options: ChannelOptions,
    *,
    hostname: str,
    text: bytes | None = None,
) -> Settings:
    """Return the effective configuration. A missing file means that every default holds.

    hostname: the default of `instance`. text: judge these bytes instead of the file's (a change before it is written).

    Raises ConfigError with all problems: "config.yaml:12: security.requre_https: unknown key; did you mean
    require_https?", or the variable's name where the environment is wrong. No value of a secret is ever repeated.
    """
    file_name = paths.config_file.name
    document, lines = _document(paths, text)
    origins, env_problems = environment.overlay(document.values, env)
    builder = Builder(document.values, channel_options, hostname)
    settings = builder.settings()
    found = list(builder.problems)
    targets = document.values.get("targets")
    found += checks.problems(settings, frozenset(targets if isinstance(targets, dict) else ()))
    try:
        database_file(settings.database["url"], paths.data_dir)
    except BadInput as error:
        found.append((("database", "url"), str(error)))
    problems = [f"{file_name}:{line}: {words}" for line, words in document.problems]
    for where, words in sorted(found, key=lambda one: _line(one[0], document)):
        problems.append(_placed(where, words, document, origins, file_name))
    problems = lines + problems + env_problems
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return _with_origin(settings, document, origins)


def _document(paths: Paths, text: bytes | None) -> tuple[Document, list[str]]:
    """Return the parsed file, and the problems that concern the file as a whole."""
    path, problems = paths.config_file, []
    if text is None:
        try:
            text = read_small(path, MAX_BYTES)
            problems = list(_permissions(paths))
        except FileNotFoundError:
            missing = f"{path}: there is no such file; correct --config or CHRONOS_CONFIG_FILE, or run 'chronos init'"
            return Document(), [missing] if paths.config_named else []
        except ConfigError as error:
            return Document(), [f"{path}: {error}; name another with --config"]
    elif len(text) > MAX_BYTES:
        return Document(), [f"{path}: is larger than {MAX_BYTES // 1024} KiB"]
    try:
        return parse(text.decode("utf-8-sig")), problems
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
    return Document(), [*problems, f"{path.name}:{line}: is not UTF-8 text; save the file as UTF-8"]


def _permissions(paths: Paths) -> Iterator[str]:
    """Yield a problem if others could change where messages go.

    Group-writable is accepted where the group is the owner's own (uid = gid): that is how systems with a umask of 002
    write every file.
    """
    found = paths.config_file.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o002 or (mode & 0o020 and found.st_gid != found.st_uid):
        yield f"{paths.config_file}: other users can change it (mode {mode:04o}); run: chmod go-w {paths.config_file}"


def _place(where: Where, known: Mapping[Where, Any]) -> Where | None:
    """Return the longest part of a key path that is known: a missing key is reported at the mapping that lacks it."""
    parts = tuple(int(part) if isinstance(part, str) and part.isdecimal() else part for part in where)
    for candidate in (where, parts):
        for length in range(len(where), 0, -1):
            if candidate[:length] in known:
                return candidate[:length]
    return None


def _line(where: Where, document: Document) -> int:
    place = _place(where, document.lines)
    return 0 if place is None else document.lines[place]


def _placed(where: Where, words: str, document: Document, origins: Mapping[Where, str], file_name: str) -> str:
    if (variable := _place(where, origins)) is not None:
        inside = dotted(where[len(variable) :])
        return f"{origins[variable]}: {inside}: {words}" if inside else f"{origins[variable]}: {words}"
    line = _line(where, document)
    return f"{file_name}:{line}: {dotted(where)}: {words}" if line else f"{file_name}: {dotted(where)}: {words}"


def _with_origin(settings: Settings, document: Document, origins: Mapping[Where, str]) -> Settings:

    found: dict[str, str] = {}
    for where in _leaves(document.values):
        if (variable := _place(where, origins)) is not None:
            found[dotted(where)] = f"environment:{origins[variable]}"
        elif line := _line(where, document):
            found[dotted(where)] = f"file:{line}"
    for section, model in schema.SECTIONS.items():
        for key in schema.keys(model):
            found.setdefault(f"{section}.{key}", "default")
    for key in ("environment", "instance"):
        found.setdefault(key, "default")
    return settings._replace(origin=found)


def _leaves(values: Mapping[str, Any], where: Where = ()) -> Iterator[Where]:
    """Yield the path of every key, lists counted as one value."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*where, key))
        elif value is not None:
            yield (*where, key)


def hostname() -> str:
    """Return this machine's name, for `load`."""
    return os.uname().nodename
