"""Puts one key into YAML text without touching the rest of it. Answers None where the layout is too unusual.

Whoever calls this parses the result again and compares: positions that mislead cannot do harm.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

from engine.host.config.tree import parse_value


def replaced(text: str, where: tuple[str, ...], value: Any) -> str | None:
    """Return `text` with the value of an existing key replaced."""
    node = _follow(_composed(text), where)
    if node is None or not _inline(node):
        return None
    start, end = node.start_mark.index, node.end_mark.index
    written = flow(value)
    if start == end:
        # Nothing stood behind the colon.
        written = f" {written}"
    return text[:start] + written + text[end:]


def inserted(text: str, where: tuple[str, ...], value: Any) -> str | None:
    """Return `text` with a new key behind the last one of the mapping it belongs to; missing mappings are made."""
    root = _composed(text)
    if root is None:
        return _appended(text, where, value)
    depth = next((n for n in range(len(where) - 1, 0, -1) if _follow(root, where[:n]) is not None), 0)
    parent = _follow(root, where[:depth])
    if not _is_mapping(parent):
        return None
    rest = where[depth:]
    if parent.flow_style:
        for part in reversed(rest[1:]):
            value = {part: value}
        entry = f"{flow(rest[0])}: {flow(value)}"
        # Right behind the last value, not before the brace: a comment may stand between them.
        end = parent.value[-1][1].end_mark.index if parent.value else parent.end_mark.index - 1
        return text[:end] + (", " if parent.value else "") + entry + text[end:]
    if depth == 0:
        return _appended(text, where, value)
    return _behind_last(text, parent, rest, value)


def removed(text: str, where: tuple[str, ...]) -> str | None:
    """Return `text` without a key; in block style its whole lines go, a comment at their end with them."""
    parent = _follow(_composed(text), where[:-1])
    if not _is_mapping(parent):
        return None
    entries = [(key, value) for key, value in parent.value]
    index = next((i for i, (key, _) in enumerate(entries) if key.value == where[-1]), None)
    if index is None:
        return None
    key, value = entries[index]
    if not parent.flow_style:
        start = text.rfind("\n", 0, key.start_mark.index) + 1
        end = _line_end(text, _last(value).end_mark.index)
        return None if text[start : key.start_mark.index].strip() else text[:start] + text[end + 1 :]
    start, end = key.start_mark.index, value.end_mark.index
    if index + 1 < len(entries):
        end = entries[index + 1][0].start_mark.index
    elif index:
        start = entries[index - 1][1].end_mark.index
    return text[:start] + text[end:]


def flow(value: Any) -> str:
    """Write a value on one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, str) and _safe_unquoted(value):
        return value
    # JSON's text, true, false, null and numbers are YAML's too.
    return json.dumps(value, ensure_ascii=not (isinstance(value, str) and value.isprintable()))


def _safe_unquoted(text: str) -> bool:
    if not text or not text.isprintable() or text != text.strip() or any(c in text for c in ",[]{}#&*!|>'\"%@`:?"):
        return False
    try:
        return bool(parse_value(text) == text and not text.startswith(("-", "=", "<")))
    except ValueError:
        return False


def _appended(text: str, where: tuple[str, ...], value: Any) -> str:
    head = text if not text or text.endswith("\n") else f"{text}\n"
    return head + _block(where, value, "")


def _block(where: tuple[str, ...], value: Any, indent: str) -> str:
    """Write a key and the mappings round it, two spaces a level."""
    if len(where) == 1:
        return f"{indent}{flow(where[0])}: {flow(value)}\n"
    return f"{indent}{flow(where[0])}:\n" + _block(where[1:], value, indent + "  ")


def _behind_last(text: str, parent: Any, rest: tuple[str, ...], value: Any) -> str:
    end = _line_end(text, _last(parent).end_mark.index)
    head = text[:end] + "\n"
    return head + _block(rest, value, " " * parent.value[0][0].start_mark.column) + text[end + 1 :]


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def _last(node: Any) -> Any:
    """Return the last node inside a block collection: only its end is exact, the collection's lies behind comments."""
    while isinstance(node.value, list) and node.value and not node.flow_style:
        node = node.value[-1][1] if isinstance(node.value[-1], tuple) else node.value[-1]
    return node


def _inline(node: Any) -> bool:
    if isinstance(node.value, list):
        return bool(node.flow_style)
    return node.style not in {"|", ">"}


def _is_mapping(node: Any) -> bool:
    return node is not None and node.tag.endswith(":map") and isinstance(node.value, list)


def _follow(node: Any, where: tuple[str, ...]) -> Any:
    for part in where:
        if not _is_mapping(node):
            return None
        node = next((value for key, value in node.value if key.value == part), None)
    return node


def _composed(text: str) -> Any:
    from ruamel.yaml import YAML

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an anchor used twice; the file was judged before
        return YAML(typ="safe", pure=True).compose(text)
