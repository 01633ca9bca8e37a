"""YAML text to plain values with the line of each. Knows no key of ours, and never repeats a value in an error.

Only what YAML 1.2's core schema means is read: no tags of programs, no merge keys, bounded in size, depth and aliases.
Building the values here from ruamel's nodes gives each key its line, and finds every duplicate instead of the first.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

MAX_BYTES = 1024 * 1024
MAX_NODES = 20_000
"""Values after aliases were expanded. Ours have some hundreds; ten levels of ten aliases would be 10^10."""
MAX_ALIASES = 100
_BROKEN = object()
"""A value that became a problem: it is left out, so that nobody complains about it a second time."""

TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = frozenset({f"{TAG}str", f"{TAG}timestamp", f"{TAG}value"})
"""A date and "=" have no meaning in YAML 1.2's core schema; they are the text that stands there."""
_NO_TAGS = "tags (!…) are not read here; remove it, or put the text into quotes"

Where = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """A parsed file: `values`, the 1-based line of each key path, and the problems found on the way: (line, text)."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Where, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)


def parse(text: str) -> Document:
    """Read a whole configuration file: a mapping at the top, or nothing at all."""
    document = Document()
    node = _composed(text, document)
    if node is None:
        return document
    values = _Builder(document).build(node, ())
    if isinstance(values, dict):
        document.values = values
    elif values is not None and values is not _BROKEN:
        document.problems.append((1, "must hold keys and values such as `environment: production`, not a list or text"))
    return document


def parse_value(text: str) -> Any:
    """Read one value, as it would stand behind a key: `20`, `true`, `[a, b]`, `{first: 5s}`.

    Raises ValueError with what is wrong.
    """
    document = Document()
    node = _composed(text, document)
    value = None if node is None else _Builder(document).build(node, ())
    if document.problems:
        raise ValueError(document.problems[0][1])
    return value


def _composed(text: str, document: Document) -> Node | None:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if line := _foreign_version(text):
        document.problems.append((line, "only YAML 1.2 is read; remove the %YAML line"))
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ruamel warns of an anchor used twice; YAML allows it
            node: Node | None = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        document.problems.append((mark.line + 1 if mark else 1, _syntax_words(error)))
    except YAMLError as error:
        position = getattr(error, "position", 0)
        document.problems.append((text.count("\n", 0, position) + 1, "holds a control character; remove it"))
    except RecursionError:
        document.problems.append((1, "is nested too deeply"))
    else:
        return node
    return None


def _foreign_version(text: str) -> int | None:
    """Return the line of a %YAML directive other than 1.2: with 1.1, `no` would silently become false."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("%YAML") and line.split()[1:2] != ["1.2"]:
            return number
        if line.strip() and not line.startswith(("%", "#", "\ufeff")):
            return None
    return None


def _syntax_words(error: Any) -> str:
    """Say what the parser did not understand, without the text that it quotes: that may be an unquoted password."""
    problem = str(error.problem or "cannot be read")
    if "alias" in problem:
        problem = "unknown alias"
    problem = problem.replace("'\\t'", "tab")
    problem = re.sub(r"'(?!<)[^']{2,}'", "this", problem)
    context = str(error.context or "")
    while_doing = f" {context}" if context.startswith("while") and "'" not in context and '"' not in context else ""
    advice = "indent with spaces" if "tab" in problem else "put text with special characters into quotes"
    return f"not valid YAML: {problem}{while_doing}; {advice}"


class _Builder:
    """Makes plain values from nodes. Expands aliases, within bounds."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0
        self._aliases = 0
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._expanding = False
        self._stopped = False

    def build(self, node: Node, where: Where) -> Any:
        """Return the value of `node`; what cannot be read becomes a problem and _BROKEN."""
        from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

        if self._stopped or not self._admit(node, where):
            return _BROKEN
        expands = id(node) in self._seen and not self._expanding
        if expands:
            self._aliases += 1
            self._expanding = True
        self._seen.add(id(node))
        self._open.add(id(node))
        value: Any = _BROKEN
        if isinstance(node, ScalarNode):
            value = self._scalar(node, where)
        elif isinstance(node, SequenceNode) and node.tag == f"{TAG}seq":
            value = self._sequence(node, where)
        elif isinstance(node, MappingNode) and node.tag == f"{TAG}map":
            value = self._mapping(node, where)
        else:
            self._problem(node, where, _NO_TAGS)
        self._open.discard(id(node))
        if expands:
            self._expanding = False
        return value

    def _admit(self, node: Node, where: Where) -> bool:
        if id(node) in self._open:
            self._problem(node, where, "an alias (*…) stands inside what it refers to")
            return False
        self._nodes += 1
        if self._nodes > MAX_NODES or self._aliases > MAX_ALIASES:
            # The node lies where its anchor is; the key that expands it is the one to be named.
            line = self._document.lines.get(where[:1], node.start_mark.line + 1)
            self._document.problems.append(
                (line, f"more than {MAX_NODES} values or {MAX_ALIASES} aliases (*…): too much to be read")
            )
            self._stopped = True
        return not self._stopped

    def _sequence(self, node: SequenceNode, where: Where) -> list[Any]:
        values = []
        for index, item in enumerate(node.value):
            self._document.lines[(*where, index)] = item.start_mark.line + 1
            value = self.build(item, (*where, index))
            if value is not _BROKEN:
                values.append(value)
        return values

    def _mapping(self, node: MappingNode, where: Where) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, where)
            if key is None:
                continue
            line = key_node.start_mark.line + 1
            if (*where, key) in self._document.lines:
                first = self._document.lines[(*where, key)]
                self._problem(key_node, (*where, key), f"stands here again, first in line {first}; remove one")
                continue
            self._document.lines[(*where, key)] = line
            value = self.build(value_node, (*where, key))
            if value is not _BROKEN:
                values[key] = value
        return values

    def _key(self, node: Node, where: Where) -> str | None:
        from ruamel.yaml.nodes import ScalarNode

        if node.tag == f"{TAG}merge":
            self._problem(node, where, "merge keys (<<) are not part of YAML 1.2; use defaults: for what targets share")
            return None
        key = str(node.value)
        if not isinstance(node, ScalarNode) or not str(node.tag).startswith(TAG) or not key.isprintable():
            self._problem(node, where, "a key must be a plain word")
            return None
        return key

    def _scalar(self, node: ScalarNode, where: Where) -> Any:
        text, tag = str(node.value), str(node.tag)
        if tag in _TEXT_TAGS:
            if "\0" in text or not _encodable(text):
                self._problem(node, where, "holds a NUL or half a character (\\0, \\ud800 …); remove it")
                return _BROKEN
            return text
        try:
            return _plain(text, tag)
        except ValueError as error:
            self._problem(node, where, str(error))
            return _BROKEN

    def _problem(self, node: Node, where: Where, text: str) -> None:
        self._document.problems.append((node.start_mark.line + 1, f"{dotted(where)}: {text}" if where else text))


def dotted(where: Where) -> str:
    """Name a key path for people: ("routes", "alerts", 0) → "routes.alerts.0"."""
    return ".".join(str(part) for part in where)


def _plain(text: str, tag: str) -> bool | int | float | None:
    if tag == f"{TAG}null":
        return None
    if tag == f"{TAG}bool" and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if tag == f"{TAG}int" and len(text) <= 20:
        return _integer(text.replace("_", ""))
    if tag == f"{TAG}float" and len(text) <= 40:
        number = _float(text)
        if number is not None and abs(number) < 1e300:
            return number
    if tag in {f"{TAG}int", f"{TAG}float"}:
        raise ValueError("is not a number that can be used: too large, infinite, or not a number at all")
    raise ValueError(_NO_TAGS)


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text.lstrip("+-")[:2].lower(), 10)
    try:
        return int(text, base)
    except ValueError:
        raise ValueError("is not a whole number") from None


def _float(text: str) -> float | None:
    try:
        return float(text.replace("_", ""))
    except ValueError:
        return None  # .inf and .nan


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
