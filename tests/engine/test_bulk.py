"""Bulk acts that somebody else finishes: what a killed command left, and workers whose marks are out of date."""

from __future__ import annotations

from pathlib import Path

from engine.model import NewMessage
from engine.operations import bulk
from engine.operations.acts import Action
from engine.operations.bulk import SLICE
from engine.operations.enqueue import enqueue_many
from tests.support import Box, Desk, opened_box

_MANY = 2 * SLICE + 1


def _begun(box: Box, action: Action) -> int:
    """Begin an act on many, as a command does that is killed before its first slice."""
    later_ms = box.clock.now_ms() + 86_400_000
    enqueue_many(box.context, [NewMessage(target="mail", text="x", not_before_ms=later_ms)] * _MANY)
    frozen = bulk.freeze(box.context, action, expression="target:mail")
    box.database.write(lambda tx: bulk._begin(tx, box.context, frozen.bulk_id))
    return frozen.bulk_id


def _read(box: Box, bulk_id: int) -> bulk.Bulk:
    return box.database.read(lambda tx: bulk.get(tx, bulk_id))


def test_the_owner_finishes_what_a_killed_command_began_one_slice_at_a_time(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        bulk_id = _begun(box, Action.CANCEL)

        first = bulk.resume(box.context, bulk_id, 0)

        assert first is not None
        assert (_read(box, bulk_id).applied, _read(box, bulk_id).state) == (SLICE, "acting")
        second = bulk.resume(box.context, bulk_id, first)
        assert second is not None
        assert bulk.resume(box.context, bulk_id, second) is None
        assert (_read(box, bulk_id).applied, _read(box, bulk_id).state) == (_MANY, "done")
        assert bulk.unfinished(box.context) == []


def test_a_worker_with_an_old_mark_leaves_nothing_of_an_undo_out(tmp_path: Path) -> None:
    """Its act was finished by another worker and is being undone: all before its mark would have stayed cancelled."""
    with opened_box(tmp_path) as box:
        bulk_id = _begun(box, Action.CANCEL)
        mark = bulk.resume(box.context, bulk_id, 0)
        bulk.carry_on(box.context, bulk_id)
        box.database.write(
            lambda tx: tx.run(
                "bulks.set_state", {"id": bulk_id, "before": "done", "state": "undoing", "undo_until_ms": None}
            )
        )

        while mark is not None:
            mark = bulk.resume(box.context, bulk_id, mark)

        assert (_read(box, bulk_id).undone, _read(box, bulk_id).state) == (_MANY, "undone")


def test_a_dispatcher_that_starts_finishes_the_act_and_delivers_meanwhile(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        bulk_id = _begun(box, Action.HOLD)
        desk = Desk(box)
        try:
            beside = desk.put(text="a message beside it")
            desk.wait_state(_MANY, "held")
            desk.wait_state(beside, "delivered")
        finally:
            desk.dispatcher.stop(drain_ms=0)

        assert (_read(box, bulk_id).state, _read(box, bulk_id).applied) == ("done", _MANY)
        assert desk.log.defects() == []
