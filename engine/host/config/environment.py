"""CHRONOS_* variables laid over the file's values. Judges names, not values; those go through the same schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from engine.errors import ConfigError
from engine.host.config.fields import EnvText
from engine.host.config.schema import NAME, NAMED, SECTIONS, Common, keys
from engine.host.config.tree import Where, parse_value
from engine.host.files import read_small
from engine.rules.text import suggest

PREFIX = "CHRONOS_"
MAX_FILE_BYTES = 64 * 1024
NOT_SETTINGS = (
    "CHRONOS_DATA_DIR",
    "CHRONOS_CONFIG_FILE",
    "CHRONOS_DEBUG",
    "CHRONOS_PASSPHRASE_FILE",
    "CHRONOS_PLAIN_TERMINAL",
)
SECRETS = "CHRONOS_SECRET_"
SHORT: dict[str, Where] = {
    "CHRONOS_ENVIRONMENT": ("environment",),
    "CHRONOS_INSTANCE": ("instance",),
    "CHRONOS_DB_URL": ("database", "url"),
    "CHRONOS_LOG_LEVEL": ("logging", "level"),
}


def overlay(values: dict[str, Any], env: Mapping[str, str]) -> tuple[dict[Where, str], list[str]]:
    """Write every CHRONOS_* variable into `values`; return which variable set which key, and the problems.

    CHRONOS_<SECTION>_<KEY> is split once; `…_FILE` reads the value from a file. Empty variables count as not set.
    """
    known = variables()
    origins: dict[Where, str] = {}
    problems: list[str] = []
    for name in sorted(env):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS or name.startswith(SECRETS) or not env[name]:
            continue
        variable, from_file = _base(name, known)
        where = known.get(variable) or _named(variable)
        if where is None:
            problems.append(f"{name}: unknown variable{_meant(name, known)}")
            continue
        if where in origins:
            problems.append(f"{name}: sets {'.'.join(map(str, where))} like {origins[where]}; unset one of them")
            continue
        try:
            text = _read(env[name]) if from_file else env[name]
            value = _value(text, where)
        except (ValueError, ConfigError) as error:
            problems.append(f"{name}: {error}")
            continue
        problem = _place(values, where, value)
        if problem:
            problems.append(f"{name}: {problem}")
        origins[where] = name
    return origins, problems


def variables() -> dict[str, Where]:
    """Return every variable that sets a key with a fixed name."""
    found = dict(SHORT)
    models: dict[str, type[BaseModel]] = {**SECTIONS, "defaults": Common}
    for section, model in models.items():
        for key in keys(model):
            found[f"{PREFIX}{section.upper()}_{key.upper()}"] = (section, key)
    return found


def _base(name: str, known: Mapping[str, Where]) -> tuple[str, bool]:
    """Take `_FILE` off, unless the key itself ends so (CHRONOS_SMTP_CA_FILE)."""
    if name in known or not name.endswith("_FILE"):
        return name, False
    return name.removesuffix("_FILE"), True


def _named(variable: str) -> Where | None:
    """Resolve CHRONOS_TARGETS_<NAME> and its like: one whole target, route, source or schedule in YAML."""
    section, _, name = variable.removeprefix(PREFIX).lower().partition("_")
    return (section, name) if section in NAMED and NAME.fullmatch(name) else None


def _value(text: str, where: Where) -> Any:
    if not _structured(where):
        return EnvText(text)
    if where[0] not in NAMED and not text.lstrip().startswith(("[", "{")):
        return EnvText(text)
    return parse_value(text)


def _structured(where: Where) -> bool:
    """Whether the key holds a list or a mapping, written in YAML."""
    if where[0] in NAMED:
        return True
    if len(where) < 2:
        return False
    model = Common if where[0] == "defaults" else SECTIONS[str(where[0])]
    annotation = keys(model)[str(where[1])].annotation
    for kind in (annotation, *get_args(annotation)):
        if get_origin(kind) in {list, dict} or (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return True
    return False


def _place(values: dict[str, Any], where: Where, value: Any) -> str | None:
    if len(where) == 1:
        values[str(where[0])] = value
        return None
    section = values.get(str(where[0]))
    if section is None:
        section = values[str(where[0])] = {}
    if not isinstance(section, dict):
        return f"cannot set a key of {where[0]}, which the file makes something else than keys and values"
    section[str(where[1])] = value
    return None


def _read(path: str) -> str:
    try:
        text = read_small(Path(path), MAX_FILE_BYTES).decode()
    except FileNotFoundError as error:
        raise ValueError(f"{path}: no such file") from error
    except ConfigError as error:
        raise ValueError(f"{path}: {error}") from error
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _meant(name: str, known: Mapping[str, Where]) -> str:
    better = suggest(name, [*known, *NOT_SETTINGS])
    return f"; did you mean {better}?" if better else "; remove it, or see docs/configuration.md for the names"
