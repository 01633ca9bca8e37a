"""Changes one key of the configuration file. Everything else in the file stays as its author wrote it.

A change is made in the text, where the parser says that the key stands; what is too unusual for that goes through
ruamel's round trip, which keeps comments but lays the lines out anew. Either way the result is parsed again and must
differ in that one key only, and the whole configuration must be valid, before a byte is written.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine.errors import BadInput, ConfigError, NotFound, NotPossible
from engine.host.config.fields import SECRET_KEY
from engine.host.config.splice import inserted, removed, replaced
from engine.host.config.tree import MAX_BYTES, parse, parse_value
from engine.host.files import read_small, write_atomic
from engine.host.paths import Paths
from engine.host.secrets_env import is_reference

Check = Callable[[bytes], object]
"""Judges a whole configuration file; raises ConfigError. See load(…, text=…)."""


def set_value(paths: Paths, key: str, value_text: str, load_check: Check) -> str:
    """Set `key` ("smtp.port") and return the change as a unified diff, "" if there is none.

    The value is read as YAML ("25", "true", "[a, b]"); text that only looks like a number or a boolean is tried as text
    when its key wants text. A missing file is made with mode 0600.

    Raises BadInput if the key or the value cannot be read, ConfigError if the result would not be valid, NotPossible if
    the file cannot be changed. In each case nothing was written.
    """
    where = _path(key)
    try:
        value = parse_value(value_text)
    except ValueError as error:
        raise BadInput(f"{key}: {error}") from None
    candidates = [value] if isinstance(value, str | list | dict) else [value, value_text.strip()]

    def change(text: str) -> str:
        refused: ConfigError | None = None
        for candidate in candidates:
            try:
                changed = _with(text, where, candidate)
                load_check(changed.encode())
                return changed
            except ConfigError as error:
                refused = refused or error
        assert refused is not None
        raise refused

    return _apply(paths, change)


def unset(paths: Paths, key: str, load_check: Check) -> str:
    """Remove `key`, so that its default holds, and return the change as a unified diff.

    Raises NotFound if the file does not set it; otherwise like set_value.
    """
    where = _path(key)

    def change(text: str) -> str:
        changed = _without(text, where)
        load_check(changed.encode())
        return changed

    return _apply(paths, change)


def _apply(paths: Paths, change: Callable[[str], str]) -> str:
    # A link (into a repository of dotfiles, say) stays a link: what it points at is replaced.
    path = Path(os.path.realpath(paths.config_file))
    with _alone(path):
        old, mode = _current(path)
        new = change(old)
        if new == old:
            return ""
        write_atomic(path, new.encode(), mode)
    return _diff(old, new, path.name)


def _path(key: str) -> tuple[str, ...]:
    where = tuple(key.split("."))
    if not all(part and part.isprintable() and " " not in part for part in where):
        raise BadInput(f"{key[:80]!r}: not a key; write it like smtp.port or targets.me.to")
    return where


def _current(path: Path) -> tuple[str, int]:
    try:
        data = read_small(path, MAX_BYTES)
        found = path.stat()
    except FileNotFoundError:
        return "", 0o600
    except ConfigError as error:
        raise NotPossible(f"{path}: {error}") from error
    if found.st_uid != os.geteuid():
        raise NotPossible(
            f"{path}: belongs to user {found.st_uid}; run as that user, or the file would change its owner"
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise NotPossible(f"{path}: is not UTF-8 text; save the file as UTF-8") from error
    if parse(text).problems:
        line, words = parse(text).problems[0]
        raise ConfigError([f"{path.name}:{line}: {words}"])
    return text, stat.S_IMODE(found.st_mode)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep two edits from overwriting each other: the directory is locked, for the file itself is replaced."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotPossible(f"{path.parent}: cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _with(text: str, where: tuple[str, ...], value: Any) -> str:
    expected = parse(text).values
    inner: Any = expected
    for part in where[:-1]:
        if inner.get(part) is None:
            inner[part] = {}
        inner = inner[part]
        if not isinstance(inner, dict):
            raise BadInput(f"{'.'.join(where)}: {part} holds a value, not keys; change that one instead")
    known = where[-1] in inner
    if known and inner[where[-1]] == value and type(inner[where[-1]]) is type(value):
        return text
    inner[where[-1]] = value
    spliced = replaced(text, where, value) if known else inserted(text, where, value)
    if spliced is not None and _holds(spliced, expected):
        return spliced
    return _round_trip(text, expected, where, lambda mapping: mapping.__setitem__(where[-1], value))


def _without(text: str, where: tuple[str, ...]) -> str:
    expected = parse(text).values
    inner: Any = expected
    for part in where[:-1]:
        inner = inner.get(part) if isinstance(inner, dict) else None
    if not isinstance(inner, dict) or where[-1] not in inner:
        raise NotFound(f"{'.'.join(where)}: the file does not set it")
    del inner[where[-1]]
    spliced = removed(text, where)
    if spliced is not None and _holds(spliced, expected):
        return spliced
    return _round_trip(text, expected, where, lambda mapping: mapping.__delitem__(where[-1]))


def _holds(text: str, expected: dict[str, Any]) -> bool:
    """Whether `text` reads as `expected`; an emptied section may stand there as nothing at all."""
    document = parse(text)
    return not document.problems and _normal(document.values) == _normal(expected)


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _normal(item) for key, item in value.items()} or None
    if isinstance(value, list):
        return [_normal(item) for item in value]
    # True == 1 in Python, and not here.
    return (type(value), value) if value is not None else None


def _round_trip(text: str, expected: dict[str, Any], where: tuple[str, ...], act: Callable[[Any], object]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    tree = yaml.load(text) or {}
    mapping = tree
    for part in where[:-1]:
        if mapping.get(part) is None:
            mapping[part] = {}
        mapping = mapping[part]
    act(mapping)
    out = io.StringIO()
    yaml.dump(tree, out)
    # Inside braces ruamel drops comments, and they are the author's.
    if not _holds(out.getvalue(), expected) or out.getvalue().count("#") < text.count("#"):
        raise NotPossible(
            f"{'.'.join(where)}: cannot be changed without touching something else; edit the file by hand"
        )
    return out.getvalue()


def _diff(old: str, new: str, name: str) -> str:
    import difflib

    lines = difflib.unified_diff(
        _masked(old).splitlines(), _masked(new).splitlines(), f"{name} (before)", f"{name} (after)", lineterm="", n=1
    )
    return "\n".join(lines)


def _masked(text: str) -> str:
    """Hide a secret that wrongly stood in the file: replacing it by a reference must not print it."""
    for secret in _plain_secrets(parse(text).values):
        for written in {secret, json.dumps(secret)[1:-1], secret.replace("'", "''")}:
            text = text.replace(written, "***")
    return text


def _plain_secrets(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _plain_secrets(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _plain_secrets(item, key)
    elif value is not None and SECRET_KEY.search(key) and not is_reference(str(value)) and str(value):
        yield str(value)
