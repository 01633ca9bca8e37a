"""Acts of the outbox panel by its keys: what is hit, what is asked first, what cannot be done, what is taken back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from chronos_tui.desk import Progress
from chronos_tui.dialogs import working
from chronos_tui.dialogs.bulk import AskTyped
from chronos_tui.dialogs.bulk import Progress as ProgressDialog
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.screens.outbox import Outbox
from engine.engine import Engine
from engine.model import NewMessage, State
from engine.operations.acts import Action
from tests.support import Box
from tests.tui.cockpit import Rig, opened_cockpit, run


def states(rig: Rig) -> dict[int, State]:
    """Return the state of every message."""
    return {one.id: one.state for one in rig.engine.page(limit=100).messages}


async def at(rig: Rig, state: str) -> int:
    """Put the cursor on the message in that state."""
    number = rig.ids[state]
    await rig.press("g", *["j"] * (max(rig.ids.values()) - number))
    shown = rig.app.query_one(Outbox).this_one()
    assert shown is not None
    assert shown.id == number
    return number


def asked(rig: Rig) -> str:
    """Return what the dialog says, "" when none is open."""
    return rig.screen_text() if isinstance(rig.app.screen, Confirm | AskTyped) else ""


@pytest.mark.parametrize(
    ("key", "before", "after", "words"),
    [
        ("r", "dead", State.QUEUED, "queued again"),
        ("r", "queued", State.QUEUED, "queued again"),
        ("x", "queued", State.CANCELLED, "cancelled; u undoes"),
        ("x", "held", State.CANCELLED, "cancelled; u undoes"),
        ("h", "queued", State.HELD, "held; u undoes"),
        ("l", "held", State.QUEUED, "released; u undoes"),
    ],
)
def test_a_lower_case_act_on_one_happens_at_once_and_to_that_one(
    tmp_path: Path, key: str, before: str, after: State, words: str
) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            number = await at(rig, before)
            others = states(rig)
            await rig.press(key)
            assert f"#{number} {words}" in rig.screen_text()
            assert states(rig) == others | {number: after}
            if "undoes" in words:
                await rig.press("u")
                assert states(rig) == others

    run(test())


def test_a_retry_of_what_waits_makes_it_due_now(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            number = await at(rig, "queued")
            assert rig.engine.detail(number).message.due_ms > rig.clock.now_ms()
            await rig.press("r")
            assert rig.engine.detail(number).message.due_ms == rig.clock.now_ms()

    run(test())


def test_a_cancel_of_what_is_on_the_wire_is_a_request(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            number = await at(rig, "sending")
            await rig.press("x")
            assert f"#{number} will be cancelled, unless it is just being accepted" in rig.screen_text()
            assert rig.engine.detail(number).message.cancel_requested

    run(test())


@pytest.mark.parametrize(
    ("key", "state", "words"),
    [
        ("h", "delivered", "cannot hold: it was delivered"),
        ("r", "held", "cannot retry: it is held; release it"),
        ("r", "uncertain", "cannot retry: it may or may not have arrived"),
        ("l", "dead", "cannot release: it is dead; retry it"),
        ("x", "delivered", "it cannot be called back"),
        ("R", "dead", "cannot resend: it is dead; retry it"),
        ("A", "queued", "cannot settle: it is waiting to be sent"),
        ("X", "held", "cannot settle: it is held"),
    ],
)
def test_what_a_state_forbids_is_said_in_the_engines_words_without_a_question(
    tmp_path: Path, key: str, state: str, words: str
) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            number = await at(rig, state)
            before = states(rig)
            await rig.press(key)
            assert not asked(rig)
            assert f"#{number}: " in rig.screen_text()
            assert words in rig.screen_text()
            assert states(rig) == before

    run(test())


@pytest.mark.parametrize(
    ("key", "title", "after"),
    [
        ("R", "Resend #4?", State.QUEUED),
        ("A", "Settle as delivered #4?", State.DELIVERED),
        ("X", "Settle as not delivered #4?", State.DEAD),
        ("x", "Cancel #4?", State.CANCELLED),
    ],
)
def test_what_cannot_be_taken_back_is_asked_and_enter_never_means_yes(
    tmp_path: Path, key: str, title: str, after: State
) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            number = await at(rig, "uncertain")
            for no in ("enter", "escape", "n", "q"):
                await rig.press(key)
                assert title in asked(rig)
                assert "It cannot be undone." in asked(rig)
                await rig.press(no)
                assert not asked(rig)
                assert rig.state(number) == State.UNCERTAIN
            await rig.press(key, "y")
            assert rig.state(number) == after
            assert "undoes" not in rig.screen_text()

    run(test())


def test_the_act_hits_the_message_that_was_asked_about_though_the_list_moved(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            number = await at(rig, "uncertain")
            await rig.press("A")
            rig.engine.enqueue_many([NewMessage("hook", text="hi")] * 20)
            await rig.settle()
            await rig.press("y")
            assert [one for one, state in states(rig).items() if state == State.DELIVERED] == [number, 1]

    run(test())


def test_marked_ones_are_previewed_and_exactly_they_are_hit(tmp_path: Path) -> None:
    def fill(box: Box) -> dict[str, int]:
        return {f"{n}": box.put(subject=f"number {n}").id for n in range(1, 9)}

    async def test() -> None:
        async with opened_cockpit(tmp_path, fill=fill, panel="outbox") as rig:
            await rig.press("space", "j", "space", "space")
            assert "• 3 marked" in rig.screen_text()
            await rig.press("h")
            for words in ("Hold 3 messages?", "3 messages marked.", "oldest #5", "newest #8", "number 6"):
                assert words in asked(rig), words
            rig.engine.enqueue_many([NewMessage("hook", text="new")] * 5)
            await rig.settle()
            await rig.press("y")
            assert "3 of 3 held; u undoes" in rig.screen_text()
            assert {one for one, state in states(rig).items() if state == State.HELD} == {8, 6, 5}
            assert "marked" not in rig.screen_text()
            await rig.press("u")
            assert set(states(rig).values()) == {State.QUEUED}

    run(test())


def test_the_range_and_everything_loaded_can_be_marked(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("space", "j", "j", "v")
            assert "• 4 marked" in rig.screen_text()
            await rig.press("asterisk")
            assert "• 8 marked" in rig.screen_text()
            await rig.press("escape")
            assert "marked" not in rig.screen_text()

    run(test())


def test_what_was_left_alone_is_said_before_and_after(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("asterisk", "x")
            assert "Cancel 4 messages?" in asked(rig)
            assert "1 of them is uncertain" in asked(rig)
            assert "4 of them are left alone: 1 delivered, 1 expired, 1 dead, 1 cancelled." in asked(rig)
            await rig.press("y")
            assert "4 of 8 cancelled; 4 left alone (1 delivered, 1 expired, 1 dead, 1 cancelled)" in rig.screen_text()

    run(test())


def test_an_act_that_fits_none_of_the_marked_is_not_asked(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await at(rig, "dead")
            await rig.press("space", "l")
            await rig.shows("none of the 1: cannot release: it is dead; retry it")
            assert not asked(rig)

    run(test())


def test_all_that_match_is_frozen_before_it_is_asked(tmp_path: Path) -> None:
    news = [NewMessage("hook", subject=f"number {n}", text="hi", tags=("nightly",)) for n in range(30)]

    async def test() -> None:
        async with opened_cockpit(tmp_path, news=news) as rig:
            rig.app.go("outbox", "tag:nightly")
            await rig.shows("31 of 38")
            await rig.press("a")
            assert "All that match the filter" in rig.screen_text()
            await rig.press("h")
            await rig.until(lambda: "Hold 30 messages?" in asked(rig))
            assert "30 messages that match tag:nightly." in asked(rig)
            rig.engine.enqueue(NewMessage("hook", subject="late", text="hi", tags=("nightly",)))
            await rig.settle()
            await rig.press("y")
            await rig.shows("30 of 30 held; u undoes")
            late = rig.engine.page("late").messages[0]
            assert late.state == State.QUEUED
            assert rig.engine.count("tag:nightly state:held") == 30
            await rig.press("u")
            await rig.shows("hold taken back for 30")
            assert rig.engine.count("tag:nightly state:held") == 0

    run(test())


def test_all_that_match_may_be_left_and_may_be_none(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            before = states(rig)
            await rig.press("a", "escape")
            await rig.press("a", "j", "enter")
            await rig.until(lambda: "Cancel 4 messages?" in asked(rig))
            assert "1 of them is uncertain: there it cannot be undone." in asked(rig)
            await rig.press("enter")
            assert states(rig) == before
            rig.app.go("outbox", "state:queued text:nobody")
            await rig.shows("Nothing matches")
            await rig.press("a", "h")
            await rig.shows("no message matches that could be held")

    run(test())


def test_much_that_is_final_is_confirmed_by_typing_its_number(tmp_path: Path) -> None:
    news = [NewMessage("hook", text="hi", not_before_ms=2_000_000_000_000) for _ in range(1_200)]

    async def test() -> None:
        async with opened_cockpit(tmp_path, fill=lambda _box: {}, news=news, panel="outbox") as rig:
            await rig.press("a", "r")
            await rig.until(lambda: "Retry 1 200 messages?" in asked(rig))
            assert "Type 1200 and Enter" in asked(rig)
            await rig.press("enter")
            await rig.type("y")
            await rig.press("enter")
            assert "✗ that is another number." in asked(rig)
            await rig.press("ctrl+u")
            await rig.type("1200")
            assert rig.engine.count("due>1h") == 1_200
            await rig.press("enter")
            await rig.shows("1 200 of 1 200 queued again")
            assert rig.engine.count("due>1h") == 0
            assert isinstance(rig.app.screen, type(rig.app.get_default_screen()))

    run(test())


def test_typing_can_be_left(tmp_path: Path) -> None:
    news = [NewMessage("hook", text="hi", not_before_ms=2_000_000_000_000) for _ in range(1_001)]

    async def test() -> None:
        async with opened_cockpit(tmp_path, fill=lambda _box: {}, news=news, panel="outbox") as rig:
            await rig.press("a", "r")
            await rig.until(lambda: bool(asked(rig)))
            await rig.press("escape")
            assert not asked(rig)
            assert rig.engine.count("due>1h") == 1_001

    run(test())


def test_an_act_in_the_details_means_the_message_that_is_read(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            number = rig.ids["dead"]
            rig.app.go("outbox", "state:held")
            await rig.shows("1 of 8")
            rig.app.go("outbox", f"#{number}")
            await rig.shows("─ #3 ✗ dead")
            await rig.settle()
            panel = rig.app.query_one(Outbox)
            assert panel.messages.cursor_key == rig.ids["held"]
            panel.details.text.focus()
            await rig.pilot.pause()
            await rig.press("r")
            assert f"#{number} queued again" in rig.screen_text()

    run(test())


def test_the_command_line_acts_on_what_it_names(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path) as rig:
            await rig.press("colon")
            await rig.type("retry 3")
            await rig.press("enter")
            await rig.shows("#3 queued again")
            await rig.press("colon")
            await rig.type("cancel state:held")
            await rig.press("enter")
            await rig.until(lambda: "Cancel 1 message?" in asked(rig))
            await rig.press("y")
            await rig.shows("1 of 1 cancelled")
            assert rig.state(rig.ids["held"]) == State.CANCELLED

    run(test())


def test_read_only_offers_no_act_and_the_engine_would_refuse_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox", read_only=True) as rig:
            await at(rig, "dead")
            before = states(rig)
            assert "retry" not in rig.screen_lines()[-1]
            assert "open" in rig.screen_lines()[-1]
            for key in ("r", "x", "h", "l", "R", "A", "X", "a"):
                await rig.press(key)
                assert len(rig.app.screen_stack) == 1
            assert states(rig) == before
            rig.app.query_one(Outbox).action_retry()
            await rig.settle()
            assert "opened read-only: nothing can be changed from here" in rig.screen_text()

    run(test())


def test_p_offers_to_pause_the_target_of_the_row(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await at(rig, "sending")
            await rig.press("p")
            await rig.shows("target:mail")
            await rig.press("escape")

    run(test())


def test_n_writes_a_message(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("n")
            await rig.until(lambda: len(rig.app.screen_stack) == 2)
            assert "subject" in rig.screen_text().lower()

    run(test())


def test_a_second_act_meanwhile_is_told_what_became_of_the_message(tmp_path: Path) -> None:
    """What the list shows may be a moment old: the engine decides by what is true."""

    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            number = await at(rig, "uncertain")
            await rig.press("R")
            rig.engine.act(Action.SETTLE_DELIVERED, number)
            await rig.press("y")
            assert f"#{number}: cannot resend: it was delivered" in rig.screen_text()
            assert rig.state(number) == State.DELIVERED

    run(test())


class Slow:
    """Work that goes on when a test says so."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.ended = threading.Event()

    def __call__(self, _engine: Engine, progress: Progress) -> str:
        try:
            progress(400, 1_000)
            while not self.go.wait(0.01):
                progress(400, 1_000)
        finally:
            self.ended.set()
        return "done"


def test_long_work_shows_a_bar_and_goes_on_when_it_is_left(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            slow, done = Slow(), list[str]()
            working.run(rig.app, "Hold 1000 messages", slow, done.append, leaving="it goes on", stops=False)
            await rig.until(lambda: isinstance(rig.app.screen, ProgressDialog))
            await rig.shows("400 of 1 000")
            assert "█" in rig.screen_text()
            assert "esc leaves: it goes on" in rig.screen_text()
            await rig.press("escape")
            assert len(rig.app.screen_stack) == 1
            assert "Hold 1000 messages: it goes on" in rig.screen_text()
            await rig.pilot.pause(0.7)  # Steps come twice a second, also when nobody looks any more.
            slow.go.set()
            await rig.until(lambda: done == ["done"])

    run(test())


def test_long_work_closes_its_bar_at_the_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            slow, done = Slow(), list[str]()
            working.run(rig.app, "Hold 1000 messages", slow, done.append, leaving="it goes on", stops=False)
            await rig.until(lambda: isinstance(rig.app.screen, ProgressDialog))
            slow.go.set()
            await rig.until(lambda: done == ["done"])
            await rig.until(lambda: len(rig.app.screen_stack) == 1)

    run(test())


def test_work_that_can_be_stopped_is_stopped_by_esc(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            slow, done = Slow(), list[str]()
            working.run(rig.app, "Export", slow, done.append, leaving="nothing is written", stops=True)
            await rig.until(lambda: isinstance(rig.app.screen, ProgressDialog))
            await rig.press("escape")
            await rig.until(slow.ended.is_set)
            await rig.until(lambda: "! cancelled" in rig.screen_lines()[-1])
            assert done == []

    run(test())
