"""The list of all keys with type and default, taken from the schema; docs/configuration.md is compared with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from engine.host.config import schema, sources
from engine.host.config.build import metadata
from engine.host.config.fields import Kind
from engine.host.config.show import in_words, target_entries
from engine.host.config.splice import flow
from engine.model import TargetSpec


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the file: its dotted name, its type in words, and its default as it would be written ("" for none)."""

    name: str
    type: str
    default: str


def all_keys() -> list[Key]:
    """Return every key, in the order of the schema. Names chosen by the operator stand as NAME."""
    found = [Key("environment", ", ".join(schema.ENVIRONMENTS), "development"), Key("instance", "text", "")]
    for section, model in schema.SECTIONS.items():
        found.extend(_keys(section, model))
    effective = dict(target_entries(TargetSpec(name="", channel="")))
    for key in _keys("defaults", schema.Common):
        default = effective.get(key.name.removeprefix("defaults."))
        found.append(dataclasses.replace(key, default="" if default is None else flow(default)))
    found.append(Key("targets.NAME.channel", "text", ""))
    found.append(Key("routes.NAME", "list of targets and {after, to}", ""))
    found.extend(_keys("sources.NAME", sources.Hmac))
    found.extend(_keys("schedules.NAME", schema.Schedule))
    return found


def _keys(prefix: str, model: type[BaseModel]) -> Iterator[Key]:
    for key, field in schema.keys(model).items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(f"{prefix}.{key}", field.annotation)
            continue
        kind = next((one for one in metadata(field) if isinstance(one, Kind)), Kind("mapping"))
        default: Any = None if field.is_required() else field.default
        _, words = in_words(key + kind.suffix, default)
        yield Key(f"{prefix}.{key}", kind.name, "" if words in (None, "") else flow(words))
