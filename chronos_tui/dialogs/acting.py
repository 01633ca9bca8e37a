"""Acts on messages: at once where they can be taken back, else asked first. What is possible the engine decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chronos_tui import bridge
from chronos_tui.desk import Progress
from chronos_tui.dialogs import working
from chronos_tui.dialogs.bulk import AskTyped
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.dialogs.dialog import Dialog
from chronos_tui.views import acts
from chronos_tui.widgets.panel import Host

_GOES_ON = "it goes on, and its result is shown here"
_MOST_LOOKED_AT = 2_000
"""Of so many marked messages the states are looked at before it is asked; reading them takes a moment each."""


def on_one(host: Host, name: str, one: bridge.Message) -> None:
    """Do it to a message as it is shown; ask first where it can neither be taken back nor done again."""
    action = bridge.Action(name)
    final = name in {"resend", "settle-delivered", "settle-dead"} or _ends_uncertain(name, one)
    if not final:
        _do_one(host, name, one)
        return
    if one.state not in bridge.accepts(action.verb):
        host.say(f"#{one.id}: {bridge.why_not(action.verb, one.state)}", "warning")
        return
    question = _dialog(acts.one_final(name, one, host.now_ms()))
    host.push_screen(question, lambda yes: _do_one(host, name, one) if yes else None)


def _ends_uncertain(name: str, one: bridge.Message) -> bool:
    """Whether it cancels an uncertain one: no undo leads back there."""
    return name == "cancel" and one.state == bridge.State.UNCERTAIN


def _do_one(host: Host, name: str, one: bridge.Message) -> None:
    action = bridge.Action(name)

    def work(engine: bridge.Engine) -> tuple[bridge.Act, bool]:
        done = engine.act(action, one.id)
        asked = name == "cancel" and done.before == bridge.State.SENDING
        return done, asked

    def finished(answer: tuple[bridge.Act, bool]) -> None:
        done, requested = answer
        if done.before == bridge.State.UNCERTAIN:
            done = bridge.Act(done.message_id, done.before)
        host.say(acts.done_one(done, name, requested=requested))
        if done.undo_id is not None:
            _remember(host, f"{name} #{one.id}", done.undo_id)

    host.desk.act(work, finished, lambda text: host.say(text, "warning"))


def _remember(host: Host, label: str, bulk_id: int) -> None:
    host.remember_undo(label, lambda engine: acts.taken_back(engine.undo(bulk_id)))


def on_marked(host: Host, name: str, ids: Sequence[int], done: Callable[[], None]) -> None:
    """Freeze these messages, ask, do it. done: called when it was done."""
    action = bridge.Action(name)

    def freeze(engine: bridge.Engine, _progress: Progress) -> tuple[bridge.Frozen, list[str]]:
        looked = [engine.detail(number).message.state.value for number in ids[:_MOST_LOOKED_AT]]
        return engine.freeze(action, ids=ids), looked

    def ask(answer: tuple[bridge.Frozen, list[str]]) -> None:
        frozen, looked = answer
        unfit, uncertain = acts.unfit_states(looked, name), looked.count("uncertain")
        if frozen.total and sum(unfit.values()) == frozen.total:
            why = bridge.why_not(action.verb, bridge.State(next(iter(unfit))))
            host.say(f"none of the {frozen.total}: {why}", "warning")
            return
        preview = acts.preview(frozen, host.now_ms(), unfit=unfit, uncertain=uncertain)
        _ask(host, preview, frozen, unfit, done)

    host.desk.long(freeze, ask, lambda text: host.say(text, "warning"))


def on_matching(host: Host, name: str, expression: str, done: Callable[[], None]) -> None:
    """Freeze all that match, ask, do it. done: called when it was done."""
    action = bridge.Action(name)

    def ask(answer: tuple[bridge.Frozen, int]) -> None:
        frozen, uncertain = answer
        if frozen.total == 0:
            host.say(f"no message matches that could be {acts.WORDS[name].done}", "warning")
            return
        host.say("")
        preview = acts.preview(frozen, host.now_ms(), said=expression, uncertain=uncertain)
        _ask(host, preview, frozen, {}, done)

    def freeze(engine: bridge.Engine, _progress: Progress) -> tuple[bridge.Frozen, int]:
        uncertain = engine.count(f"{expression} state:uncertain") if name == "cancel" else 0
        return engine.freeze(action, expression=expression), uncertain

    host.say("looking at what matches …", "")
    host.desk.long(freeze, ask, lambda text: host.say(text, "warning"))


def _ask(
    host: Host, preview: acts.Preview, frozen: bridge.Frozen, unfit: dict[str, int], done: Callable[[], None]
) -> None:
    host.push_screen(_dialog(preview), lambda yes: _do_many(host, frozen, unfit, done) if yes else None)


def _dialog(preview: acts.Preview) -> Dialog[bool]:
    return AskTyped(preview) if preview.typed else Confirm(preview.title, preview.lines, preview.yes)


def _do_many(host: Host, frozen: bridge.Frozen, unfit: dict[str, int], done: Callable[[], None]) -> None:
    name = frozen.action.value

    def finished(bulk: bridge.Bulk) -> None:
        host.say(acts.done_many(bulk, unfit), "ok" if bulk.applied else "warning")
        if bulk.undo_until_ms is not None and bulk.applied:
            _remember(host, f"{name} of {bulk.applied}", bulk.bulk_id)
        done()

    title = acts.counted(name, frozen.total)
    working.run(
        host,
        title,
        lambda engine, progress: engine.act_on(frozen, progress),
        finished,
        leaving=_GOES_ON,
        stops=False,
    )
