"""Raw values to engine.model.Settings: each part through its model, every problem with its place. Reads no file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine.errors import NotFound
from engine.host.config import schema, sources
from engine.host.config.checks import RESERVED_CHANNELS
from engine.host.config.fields import SECRET_KEY, Kind
from engine.host.config.tree import Where
from engine.host.secrets_env import is_reference, variable
from engine.model import OnUncertain, RetryPolicy, RouteStep, Settings, TargetSpec
from engine.rules.text import suggest

ChannelOptions = Callable[[str], type[BaseModel] | None]
"""Returns the model of a channel's own settings, None for a reserved name; raises NotFound for an unknown one."""

M = TypeVar("M", bound=BaseModel)
_SECRET_ADVICE = "a secret does not stand in the configuration"  # noqa: S105 - the words of an error


class Builder:
    """Makes Settings from raw values. `problems` holds (key path, text) for everything that was refused."""

    def __init__(self, values: Mapping[str, Any], channel_options: ChannelOptions, hostname: str) -> None:
        self._values = values
        self._channel_options = channel_options
        self._hostname = hostname
        self.problems: list[tuple[Where, str]] = []

    def settings(self) -> Settings:
        """Return the settings; a part with problems has its defaults, so that the rest can still be checked."""
        for key in self._values:
            if key not in schema.TOP:
                self._unknown((key,), schema.TOP)
        sections = {name: self._section(name, model) for name, model in schema.SECTIONS.items()}
        instance = self._instance()
        if sections["smtp"]["from"] is None:
            sections["smtp"]["from"] = f"chronos@{instance}"
        return Settings(
            environment=self._environment(),
            instance=instance,
            targets=self._targets(),
            routes={name: self._route(name, raw) for name, raw in self._named("routes").items()},
            sources=self._models("sources", sources.model_of),
            schedules=self._models("schedules", lambda _raw: schema.Schedule),
            **sections,
        )

    def _environment(self) -> str:
        value = self._values.get("environment")
        if value is None:
            return "development"
        if value not in schema.ENVIRONMENTS:
            self._add(("environment",), f"must be one of {', '.join(schema.ENVIRONMENTS)}")
            return "production"
        return str(value)

    def _instance(self) -> str:
        value = self._values.get("instance")
        if value is None:
            return re.sub(r"[^A-Za-z0-9.-]", "-", self._hostname[:63]).strip("-.") or "localhost"
        if not isinstance(value, str) or not schema.INSTANCE.fullmatch(value):
            self._add(("instance",), "must be text of up to 63 letters, digits, - and .")
            return "localhost"
        return str(value)

    def _section(self, name: str, model: type[BaseModel]) -> dict[str, Any]:
        found = self._validated((name,), model, self._values.get(name))
        return plain(found if found is not None else model())

    def _models(self, section: str, model_of: Callable[[object], type[BaseModel]]) -> dict[str, Any]:
        named = self._named(section).items()
        found = {name: self._validated((section, name), model_of(raw), raw) for name, raw in named}
        return {name: plain(one) for name, one in found.items() if one is not None}

    def _named(self, section: str) -> dict[str, Any]:
        """Return the entries of a section whose keys are names, without those whose name cannot be used."""
        raw = self._values.get(section)
        if raw is None:
            return {}
        if not isinstance(raw, dict):
            self._add((section,), "must hold names and what they stand for")
            return {}
        for name in raw:
            if not schema.NAME.fullmatch(name):
                self._add((section, name), "a name has only a-z, 0-9, - and _, at most 64 of them")
        return {name: value for name, value in raw.items() if schema.NAME.fullmatch(name)}

    def _targets(self) -> dict[str, TargetSpec]:
        common = self._validated(("defaults",), schema.Common, self._values.get("defaults")) or schema.Common()
        found = {name: self._target(name, raw, common) for name, raw in self._named("targets").items()}
        return {name: spec for name, spec in found.items() if spec is not None}

    def _target(self, name: str, raw: Any, common: schema.Common) -> TargetSpec | None:
        where: Where = ("targets", name)
        model = self._validated(where, schema.Target, raw)
        if not isinstance(raw, dict):
            return None
        # The channel's own keys are judged even where a common one is wrong: all problems at once.
        own = {key: value for key, value in raw.items() if key not in schema.keys(schema.Target) and value is not None}
        self._check_secrets(where, own)
        channel = raw.get("channel")
        if "channel" not in raw:
            from engine.rules.text import suggest

            for key in own:
                if suggest(key, ["channel"]):
                    self._unknown((*where, key), ("channel",))
        options = self._options(where, channel, own) if isinstance(channel, str) else None
        if model is None or options is None:
            return None
        return TargetSpec(name=name, channel=model.channel, options=options, lane=name, **_merged(common, model))

    def _options(self, where: Where, channel: str, own: dict[str, Any]) -> dict[str, Any] | None:
        try:
            model = self._channel_options(channel)
        except NotFound as error:
            self._add((*where, "channel"), str(error))
            return None
        if model is None:
            if channel not in RESERVED_CHANNELS:
                self._add((*where, "channel"), f"channel {channel}: no such channel")
                return None
            return own
        known = schema.keys(model)
        if model.model_config.get("extra") != "allow":
            for key in [key for key in own if key not in known]:
                self._unknown((*where, key), (*known, *schema.keys(schema.Target)))
                del own[key]
        found = self._validated(where, model, own)
        return None if found is None else found.model_dump(mode="json", by_alias=True)

    def _check_secrets(self, where: Where, own: dict[str, Any]) -> None:
        """Refuse plain text under every key that a channel may use for a secret, before its own model sees it."""
        for key, value in list(own.items()):
            if not SECRET_KEY.search(key):
                continue
            if not all(
                isinstance(one, str) and is_reference(one) for one in (value if isinstance(value, list) else [value])
            ):
                self._add((*where, key), _SECRET_ADVICE)
                own[key] = f"secret:{where[-1]}"

    def _route(self, name: str, raw: Any) -> tuple[RouteStep, ...]:
        where: Where = ("routes", name)
        if not isinstance(raw, list) or not raw:
            self._add(where, "must be a list of targets, such as [ops, {after: 15m, to: me}]")
            return ()
        steps = []
        for index, item in enumerate(raw):
            step = self._validated((*where, index), schema.Step, {"to": item} if isinstance(item, str) else item)
            if step is not None:
                steps.append(RouteStep(target=step.to, after_ms=step.after))
        return tuple(steps)

    def _validated(self, where: Where, model: type[M], raw: Any) -> M | None:
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            # Without input and context objects: they hold the values, and a value may be a secret.
            for one in error.errors(include_url=False, include_input=False):
                self._from_pydantic(where, model, dict(one))
        return None

    def _from_pydantic(self, where: Where, model: type[BaseModel], error: dict[str, Any]) -> None:
        place = (*where, *error["loc"])
        if error["type"] == "extra_forbidden":
            self._unknown(place, schema.keys(_model_at(model, error["loc"][:-1])))
        else:
            self._add(place, _words(error))

    def _unknown(self, where: Where, known: Any) -> None:
        better = suggest(str(where[-1]), known)
        self._add(where, "unknown key; " + (f"did you mean {better}?" if better else f"known: {', '.join(known)}"))

    def _add(self, where: Where, text: str) -> None:
        if text.startswith(_SECRET_ADVICE):
            reference = f"secret:{where[-2]}" if len(where) > 1 else "secret:NAME"
            text = f'{_SECRET_ADVICE}; write {where[-1]}: "{reference}" and set {variable(reference)}'
        self.problems.append((where, text))


def plain(model: BaseModel) -> dict[str, Any]:
    """Return a model as plain values under the file's keys, with the unit's suffix where a value has a unit."""
    values = {}
    for key, field in schema.keys(type(model)).items():
        name = next(name for name, one in type(model).model_fields.items() if one is field)
        value = getattr(model, name)
        suffix = next((one.suffix for one in metadata(field) if isinstance(one, Kind)), "")
        values[key + suffix] = plain(value) if isinstance(value, BaseModel) else value
    return values


def metadata(field: Any) -> list[Any]:
    """Return a field's metadata, also where the annotation is an optional of the annotated type."""
    found = list(field.metadata)
    for argument in getattr(field.annotation, "__args__", ()):
        found.extend(getattr(argument, "__metadata__", ()))
    return found


def _merged(common: schema.Common, own: schema.Target) -> dict[str, Any]:
    """Lay a target's common keys over `defaults:`, and both over the defaults of TargetSpec."""
    merged: dict[str, Any] = {}
    retry: dict[str, Any] = {}
    headers: dict[str, tuple[str, str]] = {}
    for floor in (common, own):
        for key in floor.model_fields_set & set(schema.keys(schema.Common)) - {"retry", "headers"}:
            merged["timeout_ms" if key == "timeout" else key] = getattr(floor, key)
        retry.update({key: value for key, value in plain(floor.retry).items() if value is not None})
        headers.update({name.lower(): (name, text) for name, text in floor.headers.items()})
    if "on_uncertain" in merged:
        merged["on_uncertain"] = OnUncertain(merged["on_uncertain"])
    if "order_blocked_by" in merged:
        merged["order_blocked_by"] = tuple(merged["order_blocked_by"])
    return {**merged, "retry": RetryPolicy(**retry), "headers": tuple(headers.values())}


def _model_at(model: type[BaseModel], path: tuple[Any, ...]) -> type[BaseModel]:
    """Follow a path of keys to the model of the mapping that stands there."""
    for key in path:
        field = schema.keys(model).get(str(key))
        inner = None if field is None else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return model


def _words(error: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind == "missing":
        return "is missing"
    if kind in {"value_error", "assertion_error"}:
        return str(error["ctx"]["error"])
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return "must hold keys and values, such as {key: value}"
    if kind == "list_type":
        return "must be a list such as [a, b]"
    return str(error["msg"]).replace("Input should be", "must be")
