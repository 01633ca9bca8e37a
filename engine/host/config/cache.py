"""The effective configuration as JSON beside the database, so that a short command reads neither YAML nor pydantic.

Never the truth: whatever does not fit (another file, variable, version; damage; a directory that cannot be written)
means that the configuration is read for real. Holds no secret, only references to secrets.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import engine
from engine.errors import ChronosError
from engine.host.paths import Paths
from engine.model import OnUncertain, Rate, RetryPolicy, RouteStep, Settings, TargetSpec

SETTLED_NS = 2_000_000_000
"""A file changed less than this ago is not cached: on a coarse file system a second change could bear the same time."""

_MAX_BYTES = 16 * 1024 * 1024
_FORMAT = 2


def load_cached(
    paths: Paths,
    env: Mapping[str, str],
    loader: Callable[[], Settings],
    *,
    now_ns: Callable[[], int] = time.time_ns,
) -> Settings:
    """Return the cached configuration if nothing that shaped it has changed, else what `loader` returns.

    `origin` is empty in a cached one. now_ns: the wall clock that files' times are compared with.
    Raises what `loader` raises.
    """
    before = fingerprint(paths, env)
    cached = _read(paths.config_cache, before)
    if cached is not None:
        return cached
    settings = loader()
    if _settled(paths, env, now_ns()) and fingerprint(paths, env) == before:
        _write(paths.config_cache, before, settings)
    return settings


def fingerprint(paths: Paths, env: Mapping[str, str]) -> str:
    """Return a digest of everything that the effective configuration depends on, without reading the file itself.

    The config file and each file behind a `…_FILE` variable by identity, size and times (also the change time, which
    nobody can set back), the variables except secrets, this machine's name, the program's version and its files, and
    the directories of installed packages, where a channel may have been added.
    """
    parts: list[object] = [_FORMAT, engine.__version__, sys.version_info[:3], os.uname().nodename, str(paths.data_dir)]
    parts += [(name, env[name]) for name in sorted(env) if _shapes(name)]
    parts += [_identity(path) for path in _sources(paths, env)]
    parts += [_identity(path) for path in _program()]
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode("utf-8", "surrogateescape")).hexdigest()


def settings_to_json(settings: Settings) -> str:
    """Return all but `origin` as one JSON document."""
    plain = {name: value for name, value in settings._asdict().items() if name not in {"targets", "routes", "origin"}}
    plain["targets"] = {name: _target_to_plain(target) for name, target in settings.targets.items()}
    plain["routes"] = {name: [[s.target, s.after_ms] for s in steps] for name, steps in settings.routes.items()}
    return json.dumps(plain, separators=(",", ":"))


def settings_from_json(text: str) -> Settings:
    """Return the settings that `settings_to_json` wrote.

    Raises ValueError if the text is something else.
    """
    try:
        plain = json.loads(text)
        plain["targets"] = {name: _target_from_plain(target) for name, target in plain["targets"].items()}
        plain["routes"] = {
            name: tuple(RouteStep(target=target, after_ms=after_ms) for target, after_ms in steps)
            for name, steps in plain["routes"].items()
        }
        return Settings(**plain)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not a cached configuration") from error


def _target_to_plain(target: TargetSpec) -> dict[str, Any]:
    plain = target._asdict()
    plain["options"] = dict(target.options)
    plain["retry"] = tuple(target.retry)
    plain["rate"] = None if target.rate is None else tuple(target.rate)
    return plain


def _target_from_plain(plain: dict[str, Any]) -> TargetSpec:
    plain["retry"] = RetryPolicy(*plain["retry"])
    plain["rate"] = None if plain["rate"] is None else Rate(*plain["rate"])
    plain["on_uncertain"] = OnUncertain(plain["on_uncertain"])
    plain["headers"] = tuple((name, text) for name, text in plain["headers"])
    plain["order_blocked_by"] = tuple(plain["order_blocked_by"])
    return TargetSpec(**plain)


def _read(path: Path, expected: str) -> Settings | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            return None
        with open(descriptor, "rb", closefd=False) as file:
            head, _, body = file.read(_MAX_BYTES).partition(b"\n")
        # The digest of the body too: half a file or a flipped bit must not become somebody's configuration.
        if head.decode() != f"{expected} {hashlib.sha256(body).hexdigest()}":
            return None
        return settings_from_json(body.decode())
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def _write(path: Path, digest: str, settings: Settings) -> None:
    """Write the cache where the data directory exists and is private. Failing is no news: it is only a cache."""
    from engine.host.files import write_atomic

    body = settings_to_json(settings).encode()
    with contextlib.suppress(ChronosError, OSError):
        found = path.parent.stat()
        if found.st_uid == os.geteuid() and not found.st_mode & 0o022:
            write_atomic(path, f"{digest} {hashlib.sha256(body).hexdigest()}\n".encode() + body)


def _settled(paths: Paths, env: Mapping[str, str], now_ns: int) -> bool:
    """Whether every source has rested for a while; a time in the future never counts as rested."""
    for path in _sources(paths, env):
        try:
            found = os.stat(path)  # noqa: PTH116 - a hot path
        except (OSError, ValueError):
            continue
        if now_ns - max(found.st_mtime_ns, found.st_ctime_ns) < SETTLED_NS:
            return False
    return True


def _sources(paths: Paths, env: Mapping[str, str]) -> Iterator[str]:
    yield str(paths.config_file)
    for name in sorted(env):
        if name.endswith("_FILE") and _shapes(name):
            yield env[name]


def _shapes(name: str) -> bool:
    """Whether a variable has a say in the configuration. Secrets have none: only their names stand in it."""
    return name.startswith("CHRONOS_") and not name.startswith("CHRONOS_SECRET_") and name != "CHRONOS_DEBUG"


def _program() -> Iterator[str]:
    """Yield the files that decide how configuration is read: an edited checkout keeps its version number."""
    root = Path(engine.__file__).parent
    yield str(root / "model.py")
    for folder in (root / "host" / "config", root / "channels"):
        try:
            with os.scandir(folder) as entries:
                yield from sorted(entry.path for entry in entries if entry.name.endswith(".py"))
        except OSError:
            continue
    yield from sorted(path for path in sys.path if path.endswith("-packages"))


def _identity(path: str) -> tuple[object, ...]:
    try:
        found = os.stat(path)  # noqa: PTH116 - a hot path
    except (OSError, ValueError):
        return (path, "absent")
    return (
        path,
        found.st_dev,
        found.st_ino,
        found.st_mode,
        found.st_uid,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
    )
