"""What one section demands of another, and what production refuses. Reads Settings only; imports nothing heavy."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from engine.errors import BadInput, ConfigError
from engine.host.secrets_env import is_reference, weakness
from engine.model import RouteStep, Settings, TargetSpec
from engine.rules import bech32
from engine.rules.text import suggest

RESERVED_CHANNELS = ("telegram", "n8n")
"""Channels of the configuration's contract whose way out is not in this version."""

Found = tuple[tuple[str, ...], str]
"""A key path and what is wrong there."""

_LOGIN = re.compile(r"(?i)authorization|cookie|token|secret|password|api-?key")
_RECOMMENDED_ITERATIONS = 600_000
"""OWASP's Password Storage Cheat Sheet for PBKDF2-HMAC-SHA256, 2023."""


def problems(settings: Settings, target_names: frozenset[str]) -> list[Found]:
    """Return what makes the configuration unusable.

    target_names: every target that the file names, also one whose own entry is wrong and therefore not in `settings`.
    """
    found = [*_routes(settings, target_names), *_references(settings, target_names), *_backup(settings)]
    if settings.production:
        found += _unsafe(settings)
    return found


def warnings(settings: Settings, env: Mapping[str, str] | None = None) -> list[str]:
    """Return one line for each thing that works, but not as its owner may believe.

    env: also look whether other users can read the files of the secrets that are used.
    """
    found = [] if settings.production else list(_unsafe(settings))
    found += [*_not_deliverable(settings), *_events(settings)]
    lines = [f"{'.'.join(where)}: {text}" for where, text in found]
    if settings.http["enabled"] and settings.http["tls_certificate"]:
        from engine.host.certificates import expiry_words

        lines += [line for line in (expiry_words(settings.http, time.time()),) if line]
    if env is not None:
        weak = (weakness(reference, env) for reference in references(settings))
        lines += [line for line in weak if line]
    return lines


def refusals(settings: Settings) -> list[str]:
    """Return why the HTTP door must not be opened as configured, one line each.

    Not among `problems`: a mistake here must keep no message from being taken, only an engine from starting.
    """
    http = settings.http
    if not http["enabled"]:
        return []
    found = []
    listen = http["listen"]
    if not http["tls_certificate"] and settings.security["require_https"] and not _stays_here(listen):
        found.append(
            f"http.listen: {listen} is outside loopback and would carry API keys in the clear; set "
            "http.tls_certificate, listen on 127.0.0.1 behind a proxy, or set security.require_https to false"
        )
    if http["tls_certificate"] or http["tls_key"]:
        from engine.host.certificates import server_context

        try:
            server_context(http)
        except ConfigError as error:
            found += error.problems
    return found


def _stays_here(listen: str) -> bool:
    from engine.host.listening import place_of

    place = place_of(listen)
    return bool(place.path) or is_loopback(place.host)


def references(settings: Settings) -> list[str]:
    """Return every `secret:NAME` that the configuration uses, each once, sorted."""
    found = set(_strings([settings.smtp, settings.telegram, settings.sources, settings.backup, settings.schedules]))
    for target in settings.targets.values():
        found.update(_strings([target.options, [value for _, value in target.headers]]))
    return sorted(text for text in found if is_reference(text))


def is_loopback(host: str) -> bool:
    """Whether a host as written means this machine: a name below localhost, 127.0.0.0/8, or ::1."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    import ipaddress

    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _routes(settings: Settings, target_names: frozenset[str]) -> Iterator[Found]:
    for name, steps in settings.routes.items():
        if name in target_names:
            yield ("routes", name), "a target has this name too; rename one of them"
        yield from _steps(name, steps, target_names)


def _steps(name: str, steps: tuple[RouteStep, ...], target_names: frozenset[str]) -> Iterator[Found]:
    before = -1
    for index, step in enumerate(steps):
        where = ("routes", name, str(index))
        if step.target not in target_names:
            yield where, f"unknown target {step.target}{_meant(step.target, target_names)}"
        if index == 0 and step.after_ms:
            yield where, "the first step starts at once; remove its after"
        elif step.after_ms <= before:
            yield where, "each step needs a later after than the one before it, such as {after: 15m, to: me}"
        before = step.after_ms


def _references(settings: Settings, target_names: frozenset[str]) -> Iterator[Found]:
    known = target_names | frozenset(settings.routes)
    route = settings.monitoring["alert_route"]
    if route is not None and route not in known:
        yield ("monitoring", "alert_route"), f"unknown route or target {route}{_meant(route, known)}"
    for section, key, entries in (("sources", "deliver", settings.sources), ("schedules", "send", settings.schedules)):
        for name, entry in entries.items():
            target = entry[key].get("target")
            if not isinstance(target, str):
                yield (section, name, key), "needs target: the name of a target or a route"
            elif target not in known and ":" not in target:
                yield (section, name, key, "target"), f"unknown target or route {target}{_meant(target, known)}"


def _backup(settings: Settings) -> Iterator[Found]:
    """Yield what a backup would only run into at night."""
    readers = settings.backup["encrypt_to"]
    if len(readers) > 1 and any(is_reference(reader) for reader in readers):
        yield ("backup", "encrypt_to"), "a passphrase stands alone: one secret:NAME, or age1… keys"
    for index, reader in enumerate(readers):
        if not is_reference(reader) and bech32.decoded("age", reader, 32) is None:
            yield ("backup", "encrypt_to", str(index)), "is no key of age: a letter is wrong or missing; copy it again"
    if settings.backup["copy_to"]:
        from engine.host.copying.base import place_of

        for index, text in enumerate(settings.backup["copy_to"]):
            try:
                place_of(text)
            except BadInput as error:
                yield ("backup", "copy_to", str(index)), str(error)


def _unsafe(settings: Settings) -> Iterator[Found]:
    """Yield what is an error in production and a warning in development."""
    security, smtp = settings.security, settings.smtp
    if not security["require_https"]:
        yield (
            ("security", "require_https"),
            "false is refused in production: API keys would travel in the clear",
        )
    if security["allow_private_targets"]:
        yield (
            ("security", "allow_private_targets"),
            "true is refused in production: an ad hoc address could reach your network; configure a target",
        )
    if not security["encryption_enabled"]:
        yield (
            ("security", "encryption_enabled"),
            "false is refused in production: the vault is off, and secrets lie about in environments and files",
        )
    if security["pbkdf2_iterations"] < _RECOMMENDED_ITERATIONS:
        yield ("security", "pbkdf2_iterations"), f"less than {_RECOMMENDED_ITERATIONS} is refused in production"
    if smtp["tls"] == "none" and smtp["host"] and not is_loopback(smtp["host"]):
        yield ("smtp", "tls"), f"none is refused in production for {smtp['host']}: use starttls or implicit"
    if settings.demo["sink"]:
        yield ("demo", "sink"), "true is refused in production: it accepts mail and webhooks and throws them away"


def _not_deliverable(settings: Settings) -> Iterator[Found]:
    mail_needed = False
    for name, target in settings.targets.items():
        mail_needed = mail_needed or target.channel == "email"
        if target.channel in RESERVED_CHANNELS:
            yield (
                ("targets", name),
                f"channel {target.channel}: not available in this version; messages to it are refused",
            )
        if any(_LOGIN.search(header) and not is_reference(text) for header, text in target.headers):
            yield ("targets", name, "headers"), "a login in plain text; write secret:NAME instead"
        yield from _plain_http(name, target)
    if mail_needed and not settings.smtp["host"] and not settings.demo["sink"]:
        yield ("smtp", "host"), "not set, and targets use e-mail; set smtp.host or CHRONOS_SMTP_HOST"


def _events(settings: Settings) -> Iterator[Found]:
    """Yield what a source does not protect from, or does not do yet."""
    for name, source in settings.sources.items():
        if source["verify"] == "hmac" and not any(source[key] for key in ("timestamp_header", "id_header", "id_path")):
            words = "two equal events look like one sent twice; set timestamp_header, id_path or id_header"
            yield ("sources", name), words
        elif source["verify"] == "hmac" and not source["timestamp_header"]:
            words = "no signed time: a recorded request stays valid; set timestamp_header if the sender can sign one"
            yield ("sources", name), words
        if source["deliver"]["template"] and not (source["deliver"]["subject"] or source["deliver"]["text"]):
            words = "rendered by a later version; until then the event itself is sent as text, under this name"
            yield ("sources", name, "deliver", "template"), words
        yield from _unheard(name, source, settings)


def _unheard(name: str, source: Mapping[str, Any], settings: Settings) -> Iterator[Found]:
    """Yield a source whose messages no channel of this version takes: its events would only be kept."""
    target = source["deliver"]["target"]
    steps = settings.routes.get(target, ())
    spec = settings.targets.get(steps[0].target if steps else target)
    if spec is not None and spec.channel in RESERVED_CHANNELS:
        yield (
            ("sources", name, "deliver", "target"),
            f"{spec.name} uses the channel {spec.channel}, which this version does not have; events are kept, not sent",
        )


def _plain_http(name: str, target: TargetSpec) -> Iterator[Found]:
    url = target.options.get("url")
    if not isinstance(url, str) or not url.lower().startswith("http://"):
        return
    from urllib.parse import urlsplit

    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return
    if not is_loopback(host):
        yield ("targets", name, "url"), "http:// to another machine: messages travel in the clear; use https://"


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


def _meant(word: str, known: frozenset[str]) -> str:
    better = suggest(word, sorted(known))
    if better:
        return f"; did you mean {better}?"
    return f"; known: {', '.join(sorted(known)[:10])}" if known else "; none is configured"
