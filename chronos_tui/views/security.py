"""The security panel's own lines: which sections there are, what each holds, what needs somebody. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from chronos_tui import bridge
from chronos_tui.views import apikeys, incidents, secrets, sources
from chronos_tui.views.spans import Document, Line, Span, width

T = TypeVar("T")

INCIDENTS, KEYS, SOURCES, SECRETS = "incidents", "keys", "sources", "secrets"
SECTIONS = (INCIDENTS, KEYS, SOURCES, SECRETS)
TITLES = {INCIDENTS: "Incidents", KEYS: "API keys", SOURCES: "Sources", SECRETS: "Secrets"}


@dataclass(frozen=True, slots=True)
class Kept:
    """What the engine said; why there is no answer for a section stands in `troubles` instead.

    everything: resolved incidents too. wrong: what the last check found of secrets, by name.
    """

    incidents: tuple[bridge.Incident, ...] = ()
    keys: tuple[bridge.ApiKey, ...] = ()
    sources: tuple[bridge.SourceState, ...] = ()
    secrets: tuple[bridge.SecretInfo, ...] = ()
    vault: bridge.VaultState | None = None
    troubles: Mapping[str, str] = field(default_factory=dict)
    everything: bool = False
    wrong: Mapping[str, str] = field(default_factory=dict)


class Shown(NamedTuple):
    """A section: rows by name, the title's words, what an empty one means."""

    rows: tuple[tuple[str, tuple[Span, ...]], ...]
    words: str
    empty: tuple[Line, ...]


def section(name: str, kept: Kept, now_ms: int) -> Shown:
    """Return what a section shows."""
    return _SECTIONS[name](kept, now_ms)


def _incidents(kept: Kept, now_ms: int) -> Shown:
    found = kept.incidents
    rows = tuple((str(one.id), incidents.row(one, now_ms)) for one in found)
    words = incidents.summary(found, everything=kept.everything)
    return Shown(rows, words, incidents.empty(everything=kept.everything))


def _keys(kept: Kept, now_ms: int) -> Shown:
    rows = tuple((one.id, apikeys.row(one, now_ms)) for one in apikeys.ordered(kept.keys, now_ms))
    return Shown(rows, apikeys.summary(kept.keys, now_ms), apikeys.EMPTY)


def _sources(kept: Kept, now_ms: int) -> Shown:
    rows = tuple((one.name, sources.row(one, now_ms)) for one in kept.sources)
    return Shown(rows, sources.summary(kept.sources), sources.EMPTY)


def _secrets(kept: Kept, now_ms: int) -> Shown:
    rows = tuple((one.name, secrets.row(one, now_ms, kept.wrong.get(one.name, ""))) for one in kept.secrets)
    return Shown(rows, secrets.summary(kept.secrets), secrets.empty(kept.vault))


_SECTIONS: Mapping[str, Callable[[Kept, int], Shown]] = {
    INCIDENTS: _incidents,
    KEYS: _keys,
    SOURCES: _sources,
    SECRETS: _secrets,
}


def document(name: str, key: str, kept: Kept, events: Sequence[bridge.Event], now_ms: int) -> Document:
    """Return what is under the cursor in full; () when it has gone. events: of the source, newest first."""
    if name == INCIDENTS:
        incident = find(kept.incidents, key)
        return () if incident is None else incidents.document(incident, now_ms)
    if name == KEYS:
        api_key = find(kept.keys, key)
        return () if api_key is None else apikeys.document(api_key, kept.keys, now_ms)
    if name == SOURCES:
        source = find(kept.sources, key)
        return () if source is None else sources.document(source, events, now_ms)
    secret = find(kept.secrets, key)
    return () if secret is None else secrets.document(secret, now_ms, kept.wrong.get(key, ""))


def find(found: Sequence[T], key: str) -> T | None:
    """Return the record that rows and places call `key`."""
    return next((one for one in found if str(getattr(one, "id", getattr(one, "name", ""))) == key), None)


def line(present: str, kept: Kept | None, cells: int) -> Line:
    """Return the sections with how much each holds; present: the one that is shown."""
    spans: list[Span] = []
    for name in SECTIONS:
        count, role = _count(name, kept) if kept is not None else ("", "")
        spans += [
            Span(" "),
            Span(TITLES[name], "selected" if name == present else ""),
            Span(f" {count}", role),
            Span("  "),
        ]
    hint = (Span("tab", "accent"), Span(" next", "dim"))
    return (*spans, *hint) if width((*spans, *hint)) <= cells else tuple(spans)


def _count(name: str, kept: Kept) -> tuple[str, str]:
    if name in kept.troubles:
        return "✗", "failed"
    if name == INCIDENTS:
        unsettled = [one for one in kept.incidents if one.state != "resolved"]
        return str(len(unsettled)), "failed" if incidents.serious(unsettled) else "warning" if unsettled else "dim"
    if name == SECRETS:
        missing = any(one.where == "missing" for one in kept.secrets) or bool(kept.wrong)
        return str(len(kept.secrets)), "warning" if missing else "dim"
    return str(len(kept.keys if name == KEYS else kept.sources)), "dim"


def audit_filter(name: str, key: str) -> str:
    """Return the filter of the audit log for what is under the cursor."""
    return {
        INCIDENTS: f"subject:incident:{key}",
        KEYS: f"subject:key:{key}",
        SOURCES: f"subject:source:{key}",
        SECRETS: f"subject:secret:{key}",
    }[name]


def page_title(name: str, key: str, cells: int) -> Line:
    """Return the line above what is open."""
    shown = {INCIDENTS: "incident", KEYS: "key", SOURCES: "source", SECRETS: "secret"}[name]
    title = Span(f"{shown} {bridge.safe_line(key, 40)}" if key else "nothing here", "title")
    keys = " z zoom   esc closes "
    start = (Span("─ ", "dim"), title, Span(" "))
    rest = cells - width(start) - len(keys) - 1
    return (*start, Span("─" * max(0, rest), "dim"), *((Span(keys, "dim"), Span("─", "dim")) if rest > 0 else ()))
