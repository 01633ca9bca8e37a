"""Pages of the audit log: whichever index serves a filter, what comes out is what the filter says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.model import NewMessage
from engine.operations import auditing
from engine.operations.context import Context
from engine.store import audit
from engine.store.tx import Tx
from tests.support import START_MS, data_dir, opened_box, opened_engine

_ACTIONS = ("message.queued", "hold.started", "message.delivered", "hold.ended", "message.dead")
_MANY = 6_000


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    """A log with more rare entries than one slice holds."""
    with opened_box(tmp_path_factory.mktemp("log")) as box:

        def work(tx: Tx) -> None:
            for number in range(_MANY):
                audit.append(
                    tx, START_MS, f"cli:{number % 2}", _ACTIONS[number % 5], f"msg_{number % 7}", {"n": number}
                )

        box.database.write(work)
        yield box.context


def _held_by_one(entry: auditing.Entry) -> bool:
    return entry.subject == "msg_2" and entry.action.startswith("hold.") and entry.actor == "cli:1"


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("action:hold", lambda e: e.action.startswith("hold.")),
        ("action:hold.ended,message.dead", lambda e: e.action in {"hold.ended", "message.dead"}),
        ("action:message", lambda e: e.action.startswith("message.")),
        ("action:message.queued,hold", lambda e: e.action == "message.queued" or e.action.startswith("hold.")),
        ("-action:hold", lambda e: not e.action.startswith("hold.")),
        ("action:hol", lambda _e: False),
        ("subject:msg_3", lambda e: e.subject == "msg_3"),
        ("subject:msg_3,msg_4,msg_3", lambda e: e.subject in {"msg_3", "msg_4"}),
        ("-subject:msg_3", lambda e: e.subject != "msg_3"),
        ("subject:msg_2 action:hold actor:cli:1", _held_by_one),
    ],
)
def test_a_filtered_page_holds_what_the_filter_says_newest_first(
    context: Context, expression: str, wanted: Callable[[auditing.Entry], bool]
) -> None:
    every = auditing.page(context, limit=_MANY + 100)
    expected = [entry.seq for entry in every if wanted(entry)]

    assert len(every) >= _MANY
    assert [entry.seq for entry in auditing.page(context, expression, limit=_MANY)] == expected
    middle = expected[len(expected) // 2] if expected else 10
    behind = auditing.page(context, expression, limit=10, before=middle)
    assert [entry.seq for entry in behind] == [seq for seq in expected if seq < middle][:10]


def test_the_verifier_of_the_documentation_checks_an_export_by_itself(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit-format.md").read_text(encoding="utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    with opened_engine(data_dir(tmp_path)) as engine:
        for number in range(3):
            engine.enqueue(NewMessage("mail", subject=f"Grüße {number} ✓"))
        lines = list(engine.audit_export())

    def verdict(lines: list[str]) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", program]
        return subprocess.run(words, input="\n".join(lines), capture_output=True, text=True, check=False)

    assert verdict(lines).stdout.startswith("3 entries, head ")
    assert "entry 2 was changed" in verdict([lines[0], lines[1].replace("test:me", "test:you"), lines[2]]).stderr
    assert "entry 2 is missing" in verdict([lines[0], lines[2]]).stderr
