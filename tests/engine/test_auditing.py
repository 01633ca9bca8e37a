"""Pages of the audit log: whichever index serves a filter, what comes out is what the filter says."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.model import NewMessage
from engine.operations import auditing, verifying
from engine.operations.context import Context
from engine.rules import checkpoints
from engine.rules.canonical import canonical_json, entry_hash
from engine.store import audit
from engine.store.tx import Tx
from tests.engine.tampering import opened_log
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


@pytest.fixture(scope="module")
def everything(context: Context) -> list[auditing.Entry]:
    return auditing.page(context, limit=_MANY + 100)


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


_LOOKS: list[tuple[str, Callable[[auditing.Entry], bool]]] = [
    ("", lambda _e: True),
    ("action:hold", lambda e: e.action.startswith("hold.")),
    ("action:message", lambda e: e.action.startswith("message.")),
    ("-action:message", lambda e: not e.action.startswith("message.")),
    ("subject:msg_3,msg_4", lambda e: e.subject in {"msg_3", "msg_4"}),
    ("-subject:msg_3", lambda e: e.subject != "msg_3"),
    ("actor:cli:1", lambda e: e.actor == "cli:1"),
    ("-actor:cli:1", lambda e: e.actor != "cli:1"),
    ("actor:cli:1,cli:7", lambda e: e.actor == "cli:1"),
    ("actor:nobody", lambda _e: False),
    ('"n":12', lambda e: '"n":12' in e.body),
    ("seq>5990", lambda e: e.seq > 5_990),
    ("seq>=17 seq<40", lambda e: 17 <= e.seq < 40),
    ("seq=17", lambda e: e.seq == 17),
    ("seq<=3", lambda e: e.seq <= 3),
    ("-seq<=3", lambda e: e.seq > 3),
    ("seq>40 seq<17", lambda _e: False),
    ("age<1h", lambda _e: True),
    ("age>1h", lambda _e: False),
    ("age>=0s", lambda _e: True),
    ("-age<1h", lambda _e: False),
    ("since:1h", lambda _e: True),
    ("since:2090-01-01", lambda _e: False),
    ("-since:2090-01-01", lambda _e: True),
]


def _quoted(expression: str) -> str:
    return expression if expression[:1] != '"' else '"\\"n\\":12"'


@pytest.mark.parametrize("patient", [True, False])
@pytest.mark.parametrize("upwards", [False, True])
@pytest.mark.parametrize(("expression", "wanted"), _LOOKS, ids=[expression or "everything" for expression, _ in _LOOKS])
def test_looks_together_find_everything_in_either_direction(
    context: Context,
    everything: list[auditing.Entry],
    expression: str,
    wanted: Callable[[auditing.Entry], bool],
    *,
    upwards: bool,
    patient: bool,
) -> None:
    """An impatient look gives up after its first step and is taken up where it says."""
    found: list[auditing.Entry] = []
    size = 70
    where: dict[str, int | bool] = {"from_oldest": True} if upwards else {}
    for _ in range(10_000):
        page = auditing.look(
            context,
            _quoted(expression),
            limit=size,
            within_ms=1_000_000 if patient else -1,
            **where,  # type: ignore[arg-type]
        )
        assert len(page.entries) <= size
        found = [*page.entries, *found] if upwards else [*found, *page.entries]
        if page.at_end:
            break
        edge = page.walked_to
        if edge is None:
            assert len(page.entries) == size
            edge = page.entries[0 if upwards else -1].seq
        else:
            assert not patient
        where = {"after" if upwards else "before": edge}
    assert page.at_end
    assert found == [entry for entry in everything if wanted(entry)]


def test_a_look_behind_an_entry_finds_the_nearest(context: Context) -> None:
    assert [one.seq for one in auditing.look(context, after=10, limit=3).entries] == [13, 12, 11]
    assert [one.seq for one in auditing.look(context, before=10, limit=3).entries] == [9, 8, 7]
    assert [one.seq for one in auditing.look(context, after=10, before=13, limit=9).entries] == [12, 11]
    head = auditing.look(context, limit=1).entries[0].seq
    assert auditing.look(context, after=head) == auditing.Page((), at_end=True)
    assert auditing.look(context, before=1) == auditing.Page((), at_end=True)


def test_verification_says_how_far_it_is_and_ends_at_the_end(context: Context) -> None:
    steps: list[tuple[int, int]] = []
    found = verifying.verify(context, lambda done, total: steps.append((done, total)))
    assert found.ok
    assert found.entries == found.head_seq == steps[-1][0] == steps[-1][1]
    assert [done for done, _total in steps[:-1]] == [2_000, 4_000]


class _CancelledError(Exception):
    pass


def _cancel(done: int, _total: int) -> None:
    if done >= 4_000:
        raise _CancelledError


def test_what_a_progress_raises_ends_a_long_read_and_nothing_stays_open(context: Context) -> None:
    with pytest.raises(_CancelledError):
        verifying.verify(context, _cancel)
    read: list[str] = []
    with pytest.raises(_CancelledError):
        read.extend(auditing.export(context, progress=_cancel))
    assert len(read) == 4_000
    lines = auditing.export(context)
    assert isinstance(lines, Generator)
    assert [json.loads(next(lines))["seq"] for _ in range(3)] == [1, 2, 3]
    lines.close()
    assert verifying.verify(context).ok
    # Every reader was given back: as many at once as there may be.
    most = context.database.options.max_connections - 2
    with ExitStack() as stack:
        for _ in range(most):
            stack.enter_context(context.database._readers.borrow())


def test_an_export_from_a_time_on_leaves_out_what_was_before(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        for _ in range(3):
            box.put()
            box.clock.advance_ms(1_000)
        steps: list[tuple[int, int]] = []
        since_ms = START_MS + 1_000
        lines = list(auditing.export(box.context, since_ms, lambda done, total: steps.append((done, total))))
        assert [json.loads(line)["seq"] for line in lines] == [2, 3]
        assert steps == [(3, 3)]


def test_an_empty_log_is_sound_and_looked_at(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        steps: list[tuple[int, int]] = []
        found = verifying.verify(box.context, lambda done, total: steps.append((done, total)))
        assert (found.ok, found.entries, steps) == (True, 0, [(0, 0)])
        assert list(auditing.export(box.context)) == []
        for where in ({}, {"from_oldest": True}, {"before": 5}, {"after": 5}):
            assert auditing.look(box.context, "actor:me", **where) == auditing.Page((), at_end=True)


def test_a_tail_that_is_cut_off_during_verification_is_missed(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        box.database.write(
            lambda tx: [audit.append(tx, START_MS, "cli:1", "hold.started", "x", {}) for _ in range(2_500)]
        )

        def cut(done: int, _total: int) -> None:
            if done == 2_000:
                box.database.write(lambda tx: tx.search("DROP TRIGGER audit_is_append_only_delete", {}))
                box.database.write(lambda tx: tx.search("DELETE FROM audit WHERE seq > 2300", {}))

        found = verifying.verify(box.context, cut)
        assert (found.ok, found.bad_seq, found.head_seq) == (False, 2_301, 2_300)
        assert "entry 2301 is missing" in found.why


def _verdict(lines: list[str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier that the documentation prints, as a stranger would."""
    page = (Path(__file__).parents[2] / "docs" / "audit-format.md").read_text(encoding="utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    command = [sys.executable, "-I", "-c", program, *words]
    return subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False)


def test_the_verifier_of_the_documentation_checks_an_export_by_itself(tmp_path: Path) -> None:
    with opened_engine(data_dir(tmp_path)) as engine:
        for number in range(3):
            engine.enqueue(NewMessage("mail", subject=f"Grüße {number} ✓"))
        lines = list(engine.audit_export())
    assert _verdict(lines).stdout.startswith("sound up to entry 3, head ")
    assert _verdict(lines[1:]).stdout.startswith("sound up to entry 3")
    assert "entry 2 was changed" in _verdict([lines[0], lines[1].replace("test:me", "test:you"), lines[2]]).stderr
    assert "entry 2 is missing" in _verdict([lines[0], lines[2]]).stderr


def test_the_verifier_of_the_documentation_checks_signatures_and_archives(tmp_path: Path) -> None:
    with opened_log(tmp_path, seed=3) as log:
        log.restore()
        lines = list(log.engine.audit_export())
        newest = log.engine.checkpoints(limit=1)[0]
        other = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
        assert "sound up to entry" in _verdict(lines, newest.key).stdout
        assert "signed with another key" in _verdict(lines, other.public_key().public_bytes_raw().hex()).stderr

        forged = other.sign(checkpoints.statement(newest.seq, newest.hash, newest.at))
        entry = json.loads(lines[newest.seq])
        entry["detail"]["signature"] = base64.b64encode(forged).decode()
        del entry["hash"]
        entry["hash"] = entry_hash(canonical_json(entry))
        assert f"the signature of the checkpoint over entry {newest.seq} does not fit" in (
            _verdict([*lines[: newest.seq], json.dumps(entry)]).stderr
        )

        done = log.engine.audit_prune(keep_ms=-1)
        archive = gzip.decompress((log.engine.paths.data_dir / "audit-archive" / done.files[0]).read_bytes()).decode()
        assert f"sound up to entry {done.last}" in _verdict(archive.splitlines(), newest.key).stdout
        assert "was changed" in _verdict(archive.replace('"audit"', '"audix"', 1).splitlines()).stderr
        assert "signed over another log" in _verdict(archive.splitlines()[:-2] + archive.splitlines()[-1:]).stderr
