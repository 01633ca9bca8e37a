"""The risk of an audit entry: every action of the code has a rule, every level is reached, a search misses none."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import State
from engine.operations import vault
from engine.operations.acts import Action
from engine.operations.backup import drilling
from engine.rules import risk
from engine.rules.incidents import Severity

ENGINE = Path(risk.__file__).parents[1]
_VALUES = {
    "message": {state.value for state in State},
    "bulk": {action.value for action in Action},
    "incident": {"acknowledged", "resolved"},
    "config": {"set", "unset"},
}
"""What stands in the hole of f"noun.{…}"."""


_HANDED_IN = {
    ("rotating", "action"): vault.CHANGES,
    ("drilling", "action"): (drilling.DRILLED, drilling.VERIFIED),
}
"""Where a function is handed the action: the constant that lists what it is handed."""


def _appends() -> Iterator[tuple[Path, ast.expr]]:
    """Find each audit.append(tx, now_ms, actor, action, …) of the code; hand out the action."""
    for path in sorted(ENGINE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"audit.append", "audit_store.append"}:
                yield path, node.args[3]


def _spelt(path: Path, action: ast.expr) -> Iterable[str]:
    if isinstance(action, ast.Constant):
        return [str(action.value)]
    if isinstance(action, ast.JoinedStr):
        noun = ast.unparse(action)[2:].partition(".")[0]
        return [f"{noun}.{word}" for word in _VALUES[noun]]
    module = importlib.import_module(".".join(path.relative_to(ENGINE.parent).with_suffix("").parts))
    name = ast.unparse(action).partition("[")[0]
    found: Any = _HANDED_IN.get((path.stem, name)) or getattr(module, name)
    return (
        [found]
        if isinstance(found, str)
        else [str(one) for one in (found.values() if isinstance(found, dict) else found)]
    )


def _actions() -> set[str]:
    return {name for path, action in _appends() for name in _spelt(path, action)}


def test_every_action_of_the_code_has_a_rule_of_its_own() -> None:
    actions = _actions()
    assert {"message.queued", "message.settled", "bulk.retry", "key.created", "secret.deleted"} <= actions
    assert len(actions) > 40, "the search for them finds no longer what it should"
    assert [name for name in sorted(actions) if not any(rule.names(name) for rule in risk.RULES)] == []


def test_no_rule_is_about_an_action_that_there_is_not() -> None:
    actions = _actions()
    idle = [name for rule in risk.RULES for name in rule.actions if not any(_about(name, one) for one in actions)]
    assert idle == []


def _about(name: str, action: str) -> bool:
    return action == name or (name.endswith(".") and action.startswith(name))


def test_no_rule_stands_behind_one_that_takes_everything() -> None:
    """A rule that can never decide is a mistake in the order."""
    seen: list[risk.Rule] = []
    for rule in risk.RULES:
        for name in rule.actions:
            assert not any(one.holds is None and one.names(name) for one in seen), (rule, name)
        seen.append(rule)


@pytest.mark.parametrize(
    ("action", "detail", "level"),
    [
        ("message.delivered", {}, "low"),
        ("message.dead", {}, "medium"),
        ("incident.opened", {"severity": "low"}, "low"),
        ("incident.opened", {"severity": "medium"}, "medium"),
        ("incident.opened", {"severity": "high"}, "high"),
        ("incident.worsened", {"severity": "critical"}, "critical"),
        ("incident.resolved", {"severity": "critical"}, "low"),
        ("key.created", {"scopes": ["send", "read"]}, "medium"),
        ("key.created", {"scopes": ["send", "admin"]}, "high"),
        ("key.created", {"scopes": "admin"}, "medium"),
        ("bulk.cancel", {"count": 3}, "medium"),
        ("bulk.cancel", {"count": 1_000}, "high"),
        ("bulk.hold", {"count": 99}, "low"),
        ("bulk.hold", {"count": 100}, "medium"),
        ("bulk.undo", {}, "low"),
        ("config.set", {"key": "smtp.port"}, "medium"),
        ("config.set", {"key": "security.require_https"}, "high"),
        ("audit.verified", {"ok": True}, "low"),
        ("audit.verified", {"ok": False}, "critical"),
        ("secret.deleted", {}, "high"),
        ("backup.created", {}, "low"),
        ("backup.drilled", {"ok": True}, "low"),
        ("backup.drilled", {"ok": False}, "high"),
        ("backup.pruned", {}, "medium"),
        ("something.new", {}, "medium"),
    ],
)
def test_the_rules_say_what_they_should(action: str, detail: dict[str, Any], level: str) -> None:
    assert risk.assess(action, detail).level == level
    assert risk.assess(action, detail).reason


def test_every_level_is_reached_by_an_action_of_the_code() -> None:
    assert {level for action in _actions() for level in risk.levels_of(action)} == set(Severity)


_DETAILS = st.dictionaries(
    st.sampled_from(["severity", "scopes", "count", "key", "ok"]),
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 2_000), st.sampled_from([*Severity, "security.x", "x"]),
        st.lists(st.sampled_from(["admin", "send"])), st.dictionaries(st.text(), st.text(), max_size=1),
    ),
)  # fmt: skip


@given(st.sampled_from([*sorted(_actions()), "something.new", "incident", ""]), _DETAILS)
def test_no_entry_has_a_level_that_the_search_left_out(action: str, detail: dict[str, Any]) -> None:
    """However odd the detail: somebody who tampers with the log must not make its reader fail."""
    assert risk.assess(action, detail).level in risk.levels_of(action)


def test_the_document_has_every_rule() -> None:
    text = (ENGINE.parent / "docs" / "audit-format.md").read_text(encoding="utf-8")
    rows = text.partition("\n## Risk\n")[2].split("\n## ")[0].splitlines()
    assert [row for row in rows if row.startswith("| `")] == [_row(rule) for rule in risk.RULES]


def _row(rule: risk.Rule) -> str:
    names = " ".join(f"`{name}{'*' if name.endswith('.') else ''}`" for name in rule.actions)
    return f"| {names} | {rule.when} | {rule.level.value} | {rule.reason} |"
