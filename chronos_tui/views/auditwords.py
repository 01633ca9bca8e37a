"""What an entry of the audit log says, in a sentence: its detail, by the kind of its action. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from chronos_tui import bridge
from chronos_tui.views import when

_LONGEST_WORDS = 300
_LONGEST_VALUE = 4_000


def words(entry: bridge.AuditEntry) -> str:
    """Return the detail as a sentence, one safe line."""
    detail: object = entry.detail
    if not isinstance(detail, Mapping):  # only somebody else's hand writes that
        return bridge.safe_line(text_of(detail), _LONGEST_WORDS)
    kind = _WORDS.get(entry.action) or _WORDS.get(entry.action.partition(".")[0]) or _any
    return bridge.safe_line(kind(detail), _LONGEST_WORDS)


def _message(detail: Mapping[str, Any]) -> str:
    said = [f"{words} {text_of(detail[name])}".strip() for name, words in _OF_MESSAGES.items() if name in detail]
    if detail.get("requested"):
        said.append("if it can still be stopped")
    why = "; ".join(text_of(detail[name]) for name in ("reason", "last") if detail.get(name))
    return _with(", ".join(said), why)


def _bulk(detail: Mapping[str, Any]) -> str:
    if "count" not in detail:
        return _any(detail)
    expression = detail.get("filter")
    return f"{text_of(detail['count'])} messages, {text_of(expression) if expression else 'chosen one by one'}"


def _undo(detail: Mapping[str, Any]) -> str:
    return f"{text_of(detail.get('action', ''))} taken back"


def _hold(detail: Mapping[str, Any]) -> str:
    until = f"until {_moment(detail['until'])}" if "until" in detail else ""
    return _with(until, detail.get("reason"))


def _breaker(detail: Mapping[str, Any]) -> str:
    probe = f"next probe {_moment(detail['probe_at'])}" if "probe_at" in detail else ""
    return _with(probe, detail.get("reason"))


def _started(detail: Mapping[str, Any]) -> str:
    return f"{text_of(detail.get('mode', ''))}, pid {text_of(detail.get('pid', '?'))}"


def _loaded(detail: Mapping[str, Any]) -> str:
    return f"{text_of(detail.get('targets', '?'))} targets, digest {text_of(detail.get('sha256', ''))[:12]}"


def _set_back(detail: Mapping[str, Any]) -> str:
    back = detail.get("back_ms")
    return f"by {bridge.format_duration(back)}" if type(back) is int else _any(detail)


def _any(detail: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {text_of(value)}" for name, value in detail.items() if value != "")


def _incident(detail: Mapping[str, Any]) -> str:
    about = " ".join(text_of(detail[name]) for name in ("kind", "of") if name in detail)
    return _with(about, detail.get("note") or detail.get("detail"))


def _key(detail: Mapping[str, Any]) -> str:
    said = [text_of(detail.get("name", ""))]
    for name, words in (("scopes", "may"), ("targets", "to"), ("networks", "from")):
        if isinstance(found := detail.get(name), list) and found:
            said.append(f"{words} {', '.join(map(text_of, found))}")
    for name, words in (("expires_at", "until"), ("ends_at", "ends")):
        if detail.get(name):
            said.append(f"{words} {_moment(detail[name])}")
    for name, words in (("replaces", "in place of"), ("successor", "replaced by"), ("uses", "uses")):
        if name in detail:
            said.append(f"{words} {text_of(detail[name])}")
    return ", ".join(one for one in said if one)


_OF_MESSAGES = {
    "from": "from",
    "to": "to",
    "target": "to",
    "attempt": "try",
    "before": "was",
    "as": "as",
    "route": "by route",
    "key": "key",
}
"""What an entry about a message may tell, and the word before it."""

_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "incident": _incident,
    "key": _key,
    "message": _message,
    "bulk": _bulk,
    "bulk.undo": _undo,
    "hold": _hold,
    "target.breaker_opened": _breaker,
    "config.loaded": _loaded,
    "engine.started": _started,
    "clock.set_back": _set_back,
}
"""By action, or by its first part."""


def _with(said: str, reason: object) -> str:
    why = text_of(reason) if reason else ""
    return f"{said}: {why}" if said and why else said or why


def _moment(value: object) -> str:
    at_ms = when.parse_ms(value) if isinstance(value, str) else None
    return text_of(value) if at_ms is None else when.full(at_ms)


def text_of(value: object) -> str:
    """Return a value of a detail as text, not yet safe for a terminal."""
    if isinstance(value, str):
        return value[:_LONGEST_VALUE]
    try:
        return json.dumps(value, ensure_ascii=False)[:_LONGEST_VALUE]
    except RecursionError:
        return "nested too deeply to be shown"
