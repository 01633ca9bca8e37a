"""Acts on one message: what can be taken back is offered, what cannot is not."""

from __future__ import annotations

from pathlib import Path

from engine.model import Attachment, OnUncertain, Outcome, State
from engine.operations import reading
from engine.operations.acts import Action, act_on_one
from tests.support import opened_box


def test_a_cancel_that_nothing_leads_back_from_offers_no_undo(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        waiting, asking = box.put(), box.put(on_uncertain=OnUncertain.ASK)
        [claimed] = [one for one in box.claim() if one.taken.id == asking.id]
        box.finish(claimed, Outcome("unknown", "the line broke"))
        assert box.message(asking).state == State.UNCERTAIN

        assert act_on_one(box.context, Action.CANCEL, asking.id).undo_id is None
        assert act_on_one(box.context, Action.CANCEL, box.put().id).undo_id is not None
        assert box.message(waiting).state == State.SENDING


def test_what_a_message_says_can_be_read_without_its_files(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        one = box.put(text="hi", attachments=(Attachment("a.bin", "application/octet-stream", b"\x00" * 100),))

        assert reading.content(box.context, one.id, files=False).attachments == ()
        assert reading.content(box.context, one.id).attachments[0].content == b"\x00" * 100
        assert reading.content(box.context, one.id, files=False).text == "hi"
