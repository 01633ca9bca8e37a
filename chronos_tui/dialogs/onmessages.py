"""What the keys do to messages in a panel that lists them. The panel says which ones; the engine decides the rest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from chronos_tui import bridge
from chronos_tui.dialogs import acting, editor, savefile
from chronos_tui.dialogs.choose import Choice, Choose
from chronos_tui.keys import Command, Danger
from chronos_tui.views import acts
from chronos_tui.views.detail import whole_text
from chronos_tui.views.handles import handle_place, handles
from chronos_tui.widgets.panel import Panel

if TYPE_CHECKING:
    from chronos_tui.terminal.safe_app import SafeApp

_WHICH = " [ID…|FILTER]"
COMMANDS = (
    Command(
        "outbox.retry", ("r",), "retry", "send dead ones again, waiting ones now", 20, Danger.PLAIN, f"retry{_WHICH}"
    ),
    Command("outbox.cancel", ("x",), "cancel", "cancel what was not sent yet", 22, Danger.UNDOABLE, f"cancel{_WHICH}"),
    Command(
        "outbox.hold", ("h",), "hold", "hold waiting ones until they are released", 71, Danger.UNDOABLE, f"hold{_WHICH}"
    ),
    Command("outbox.release", ("l",), "release", "let held ones go", 72, Danger.UNDOABLE, f"release{_WHICH}"),
    Command(
        "outbox.resend", ("R",), "resend", "send uncertain ones again; asks first", 86, Danger.FINAL, f"resend{_WHICH}"
    ),
    Command(
        "outbox.arrived",
        ("A",),
        "arrived",
        "settle uncertain ones as delivered; asks first",
        87,
        Danger.FINAL,
        f"settle-delivered{_WHICH}",
    ),
    Command(
        "outbox.lost",
        ("X",),
        "lost",
        "settle uncertain ones as not delivered; asks first",
        88,
        Danger.FINAL,
        f"settle-dead{_WHICH}",
    ),
    Command("outbox.all", ("a",), "all", "act on all that match the filter: choose what; asks first", 83, Danger.FINAL),
    Command("outbox.audit", ("i",), "audit", "what the audit log says of this message", 85),
    Command("outbox.copy", ("y",), "copy", "copy the message's uid", 0),
    Command("outbox.edit", ("E",), "editor", "open all that the message says in $EDITOR", 0),
)

_ACTS = (
    ("r", "retry"),
    ("x", "cancel"),
    ("h", "hold"),
    ("l", "release"),
    ("R", "resend"),
    ("A", "settle-delivered"),
    ("X", "settle-dead"),
)


class OnMessages(Panel):
    """A panel with messages in it."""

    def this_one(self) -> bridge.Message | None:
        """Return the message that "this one" means, as it is shown."""
        raise NotImplementedError

    def marked(self) -> frozenset[int]:
        """Return the numbers of those that are marked: acts are done to them then."""
        raise NotImplementedError

    def matching(self) -> str:
        """Return the filter whose matches "all" means."""
        raise NotImplementedError

    def unmark(self) -> None:
        """The marked ones are done."""
        raise NotImplementedError

    def warn(self, text: str) -> None:
        """Say why something was not done."""
        self.host.say(text, "warning")

    def needed(self) -> bridge.Message | None:
        """Return "this one"; None, with a word, when there is none."""
        one = self.this_one()
        if one is None:
            self.warn("no message is under the cursor")
        return one

    def _act(self, name: str) -> None:
        if marked := self.marked():
            acting.on_marked(self.host, name, sorted(marked), self.unmark)
        elif (one := self.needed()) is not None:
            acting.on_one(self.host, name, one)

    def action_retry(self) -> None:
        """Send it again."""
        self._act("retry")

    def action_cancel(self) -> None:
        """Do not send it."""
        self._act("cancel")

    def action_hold(self) -> None:
        """Keep it back."""
        self._act("hold")

    def action_release(self) -> None:
        """Let it go."""
        self._act("release")

    def action_resend(self) -> None:
        """Send it again though it may have arrived."""
        self._act("resend")

    def action_arrived(self) -> None:
        """It did arrive."""
        self._act("settle-delivered")

    def action_lost(self) -> None:
        """It did not arrive."""
        self._act("settle-dead")

    def action_all(self) -> None:
        """Choose what to do to all that match; which those are is fixed before it is asked."""
        expression = self.matching()
        choices = [Choice(key, name, f"{acts.WORDS[name].title}: {acts.WORDS[name].means}") for key, name in _ACTS]
        title = "All that match the filter" if expression else "All messages in the outbox"

        def chosen(name: str | None) -> None:
            if name:
                acting.on_matching(self.host, name, expression, self.unmark)

        self.host.push_screen(Choose(title, choices), chosen)

    def action_audit(self) -> None:
        """Go to what the audit log says of it."""
        if (one := self.needed()) is not None:
            self.host.go("audit", f"subject:{one.uid}")

    def action_copy(self) -> None:
        """Copy the uid."""
        if (one := self.needed()) is not None:
            self.app.copy_to_clipboard(one.uid)

    def scope(self) -> str:
        """See Panel.scope: this message's target."""
        one = self.this_one()
        return f"target:{one.target}" if one is not None else ""

    @classmethod
    def place_of(cls, word: str) -> str:
        """See Panel.place_of."""
        return handle_place(word)

    def line(self, word: str, rest: str) -> bool:
        """See Panel.line: on the messages that are named, else on all that match a filter."""
        if word not in acts.WORDS:
            return False
        named = handles(rest)
        if not named:
            self.go_to(rest)
            acting.on_matching(self.host, word, rest, self.unmark)
            return True

        def read(engine: bridge.Engine) -> list[bridge.Message]:
            return [engine.detail(handle).message for handle in named]

        def show(found: list[bridge.Message]) -> None:
            if len(found) == 1:
                acting.on_one(self.host, word, found[0])
            else:
                acting.on_marked(self.host, word, [one.id for one in found], self.unmark)

        self.host.desk.read("outbox line", read, show, self.warn)
        return True

    def save_attachment(self, found: bridge.Detail) -> None:
        """Save one of a message's attachments, asking which when there are several."""
        handle, names = found.message.id, [name for name, _kind, _size in found.attachments]
        if not names:
            self.warn("this message has no attachment")
            return
        if len(names) == 1:
            savefile.ask_attachment(self.host, handle, 0, names[0])
            return
        choices = [
            Choice(str(at + 1) if at < 9 else "", str(at), bridge.safe_line(name, 50)) for at, name in enumerate(names)
        ]

        def chosen(at: str | None) -> None:
            if at:
                savefile.ask_attachment(self.host, handle, int(at), names[int(at)])

        self.host.push_screen(Choose("Save which attachment?", choices), chosen)

    def action_edit(self) -> None:
        """Open all that it says in the operator's own program."""
        one = self.needed()
        if one is None:
            return

        def read(engine: bridge.Engine) -> str:
            return whole_text(engine.content(one.id, files=False))

        self.host.desk.read("outbox editor", read, self._edit, self.warn)

    def _edit(self, text: str) -> None:
        app = cast("SafeApp", self.app)
        try:
            editor.open_text(app, text, os.environ, lambda: app.told_to_leave)
        except bridge.NotPossible as error:
            self.warn(str(error))
