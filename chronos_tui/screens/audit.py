"""Panel 3, Audit: what was done, by whom, and whether the log is still what was written. Writes nothing but exports."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from chronos_tui import bridge
from chronos_tui.desk import Job
from chronos_tui.dialogs import onaudit
from chronos_tui.keys import TEXT, Command, Danger
from chronos_tui.views import audit as views
from chronos_tui.views import times
from chronos_tui.views.audit import Heading, Verified
from chronos_tui.views.spans import Span
from chronos_tui.widgets.auditlist import Entries
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.pager import Pager
from chronos_tui.widgets.panel import Panel, Prompt
from chronos_tui.widgets.signing import Signed
from chronos_tui.widgets.textview import TextView

_BESIDE_FROM = 140
"""Cells from which on the details stand beside the list."""

_PLACE = re.compile(r"(?:(.*?)\s*)@([0-9]{1,15})", re.DOTALL)
_ALL_OF_IT = " "
"""The place of the list without a filter: one that says nothing would leave the filter as it is."""

_ALL = ((Span("Nothing was done here yet. Every act of the engine and of an operator is written down."),),)
_NONE = "Nothing matches. "


class Text(TextView):
    """The entry in full."""

    BINDINGS = bindings(TEXT)


class Audit(Panel):
    """The audit log: live list, details, verification, export."""

    ID = "audit"
    NUMBER = 3
    TITLE = "Audit"
    TOPICS = frozenset({bridge.Topic.AUDIT})
    FILTER = bridge.AUDIT_FIELDS
    COMMANDS = (
        Command("audit.verify", ("V",), "verify", "recompute the whole chain of hashes", rank=20, line="verify"),
        Command("audit.fault", ("f",), "first fault", "go to the first bad entry that a verification found", rank=15),
        Command("audit.message", ("o",), "message", "open the message that this entry speaks of", rank=30),
        Command("audit.copy", ("y",), "copy", "copy the entry's hash; with its details open, the whole entry", rank=50),
        Command("audit.export", ("w",), "export", "write the log to a file, as JSON Lines", rank=40),
        Command("audit.checkpoint", ("c",), "sign", "sign the head now", 42, Danger.PLAIN, "checkpoint"),
        Command(
            "audit.witness",
            ("W",),
            "witness",
            "send the signed head to somebody who keeps it; asks to whom",
            44,
            Danger.FINAL,
            "witness [TO]",
        ),
        Command("audit.zoom", ("z",), "zoom", "give this pane all the room, or take it back", rank=0),
    )
    DEFAULT_CSS = """
    Audit { layout: vertical; }
    Audit #audit-body { layout: vertical; height: 1fr; }
    Audit #entry { display: none; height: 3fr; }
    Audit #entries { height: 2fr; }
    Audit.-open #entry { display: block; }
    Audit.-beside #audit-body { layout: horizontal; }
    Audit.-beside #entry, Audit.-beside #entries { height: 1fr; width: 1fr; }
    Audit.-zoom-list #entry { display: none; }
    Audit.-zoom-text #entries, Audit.-zoom-text #audit-title { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._entries = Entries()
        self._text = Text(id="entry-text")
        self._head: tuple[int, str] = (0, "")
        self._values: dict[str, tuple[str, ...]] = {}
        self._job: Job | None = None
        self._verified: Verified | None = None
        self._signed = Signed()

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield Bar(id="audit-title")
        with Container(id="audit-body"):
            yield self._entries
            with Vertical(id="entry"):
                yield Bar(id="entry-title")
                yield self._text
        yield self._signed

    # What the shell calls

    def reload(self) -> None:
        """See Panel.reload."""
        self._entries.reload()
        desk = self.host.desk
        desk.read("audit.head", lambda engine: engine.situation(), self._show_head)
        self._signed.reload()
        if not self._values:
            desk.read("audit.values", lambda engine: engine.known_values(), self._learn)

    def place(self) -> str:
        """The filter, and "@SEQ" where the cursor is not on the newest entry."""
        rows, key = self._entries.rows, self._entries.cursor_key
        at = f"@{key}" if key is not None and rows and key != rows[0].key else ""
        return f"{self._entries.expression} {at}".strip() or _ALL_OF_IT

    @classmethod
    def place_of(cls, word: str) -> str:
        """See Panel.place_of: an entry is "@812"."""
        return word if re.fullmatch(r"@[0-9]{1,15}", word) else ""

    def go_to(self, place: str) -> None:
        """Show a filter, an entry ("@812"), or both."""
        found = _PLACE.fullmatch(place.strip())
        expression = ((found[1] or "") if found else place).strip()
        if wrong := _objection(expression):
            self.host.say(wrong, "failed")
            return
        if expression != self._entries.expression:
            self._filter(expression)
        if found:
            self._entries.show(int(found[2]))

    def slash(self) -> Prompt:
        """A filter for the list; in the details, what to search for."""
        if self._text.has_focus:
            return Prompt("search: ", self._search, history="search", hint="n and N go to the next and the one before")
        self.host.desk.read("audit.values", lambda engine: engine.known_values(), self._learn)
        return Prompt(
            "/",
            self._filter,
            self._entries.expression,
            self._complete,
            _objection,
            "audit",
            "action:hold  risk:high,critical  actor:cli:root  subject:msg_…  since:24h  seq>=812, or any word",
        )

    def leave_pane(self) -> bool:
        """See Panel.leave_pane: what is under way is cancelled, then the details close."""
        if self._job is not None:
            self._job.cancel()
            return True
        if self._unzoom():
            return True
        if self.has_class("-open"):
            self._close()
            return True
        return False

    def clear(self) -> None:
        """Drop the filter."""
        if self._entries.expression:
            self._filter("")

    def saved(self) -> dict[str, Any]:
        """See Panel.saved."""
        return {"filter": self._entries.expression}

    def restore(self, saved: dict[str, Any]) -> None:
        """See Panel.restore."""
        expression = saved.get("filter")
        if isinstance(expression, str) and expression and not _objection(expression):
            self._filter(expression)

    def own_badge(self, counts: Mapping[str, int]) -> tuple[str, str]:
        """See Panel.own_badge: a log that is not what it was cannot be overlooked."""
        return ("✗", "failed") if self._verified is not None and self._verified.bad_seq is not None else ("", "")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done now."""
        if action == "fault":
            return self._verified is not None and self._verified.bad_seq is not None
        if action == "zoom":
            return self.has_class("-open")
        return super().check_action(action, parameters)

    # The list

    def _filter(self, expression: str) -> None:
        expression = expression.strip()
        if expression:
            hint = (Span("/", "accent"), Span(" changes the filter, "), Span("esc", "accent"), Span(" drops it."))
            self._entries.set_empty((Span(_NONE), *hint))
        else:
            self._entries.set_empty(*_ALL)
        self._entries.list_again(expression)
        self._show_title()
        self.host.looked()

    def _complete(self, text: str, cursor: int) -> list[str]:
        start = bridge.filter_word_start(text, cursor)
        terms = bridge.complete_filter(text, cursor, self._values, bridge.AUDIT_FIELDS)
        return [text[:start] + term + text[cursor:] for term in terms]

    def _learn(self, values: dict[str, tuple[str, ...]]) -> None:
        self._values = values

    def _show_head(self, situation: bridge.Situation) -> None:
        self._head = (situation.audit_seq, situation.audit_hash)
        self._show_title()

    def _show_title(self) -> None:
        if self._job is not None:
            return
        entries = self._entries
        searched = entries.searched_to
        note = f"searching… back to {times.number(searched)}" if searched is not None else ""
        heading = Heading(entries.expression, *self._head, self._verified, entries.newer, note)
        bar = self.query_one("#audit-title", Bar)
        bar.show(views.title(heading, self.host.now_ms(), bar.size.width))

    def on_mount(self) -> None:
        """Say what an empty list means."""
        self._entries.set_empty(*_ALL)

    def on_resize(self) -> None:
        """Fit the columns and where the details stand."""
        width = self.size.width
        self.set_class(width >= _BESIDE_FROM, "-beside")
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        self._entries.fit_to(self._entries.size.width or self.size.width)
        self._show_title()
        self._show_entry()

    def on_pager_newer_changed(self) -> None:
        """Say how many came above, or how far a search is; show an entry that was read anew."""
        self._show_title()
        self._show_entry()

    def on_pager_cursor_moved(self) -> None:
        """Let the details follow."""
        self._show_entry()

    def on_pager_opened(self, event: Pager.Opened) -> None:
        """Open the details and go into them; from the list the details follow the cursor."""
        event.stop()
        self._unzoom()
        self.add_class("-open")
        self._show_entry()
        self._text.focus()
        self.call_after_refresh(self._fit)
        self.host.looked()

    # One entry

    def _entry(self) -> bridge.AuditEntry | None:
        found = self._entries.entry(self._entries.cursor_key)
        if found is None:
            self.host.say("no entry here", "warning")
        return found

    def _show_entry(self) -> None:
        if not self.has_class("-open"):
            return
        entry = self._entries.entry(self._entries.cursor_key)
        bar = self.query_one("#entry-title", Bar)
        if entry is None:
            self._text.show(())
            bar.show(views.entry_title(None, bar.size.width))
            return
        self._text.show(views.document(entry, self._verified), entry.seq)
        bar.show(views.entry_title(entry.seq, bar.size.width))

    def _close(self) -> None:
        self._unzoom()
        self.remove_class("-open")
        self._entries.focus()
        self.call_after_refresh(self._fit)
        self.host.looked()

    def _search(self, text: str) -> None:
        if not self._text.search(text) and text:
            self.host.say("not found here", "warning")

    def _unzoom(self) -> bool:
        zoomed = self.has_class("-zoom-list") or self.has_class("-zoom-text")
        self.remove_class("-zoom-list", "-zoom-text")
        self.call_after_refresh(self._fit)
        return zoomed

    def action_zoom(self) -> None:
        """Give the pane with the focus all the room, or take it back."""
        if not self._unzoom():
            self.add_class("-zoom-text" if self._text.has_focus else "-zoom-list")

    def action_copy(self) -> None:
        """Copy the hash; with the details open the entry as an export spells it."""
        entry = self._entry()
        if entry is None:
            return
        if self.has_class("-open"):
            self.app.copy_to_clipboard(json.dumps(bridge.entry_shape(entry), sort_keys=True))
        else:
            self.app.copy_to_clipboard(bridge.safe_line(entry.hash, 100))

    def action_message(self) -> None:
        """Open the message that the entry speaks of."""
        entry = self._entry()
        if entry is None:
            return
        uid = views.speaks_of(entry)
        if not uid:
            self.host.say(f"entry {entry.seq} speaks of no message", "warning")
            return
        self.host.desk.read(
            "audit.message",
            lambda engine: engine.detail(uid).message.id,
            lambda number: self.host.go("outbox", f"#{number}"),
            lambda text: self.host.say(text, "failed"),
        )

    # Long work

    def action_verify(self) -> None:
        """Recompute the whole chain; the title says how far it is, and what came of it."""
        if self._job is not None:
            self.host.say("it is being verified; esc cancels", "warning")
            return
        self._job = self.host.desk.long(
            lambda engine, progress: engine.audit_verify(progress),
            self._note_verified,
            self._note_ended,
            self._progress,
        )
        self._progress(0, 0)

    def _progress(self, done: int, total: int) -> None:
        bar = self.query_one("#audit-title", Bar)
        if self._job is not None:
            bar.show(views.progress("verifying", done, total, bar.size.width))

    def _note_verified(self, found: bridge.ChainResult) -> None:
        self._job = None
        bad = None if found.ok else found.bad_seq
        self._verified = Verified(self.host.now_ms(), found.entries, bad, found.why, found.checkpoints)
        self._entries.read_anew(self._verified)
        self._show_title()
        if found.ok:
            self.host.say(views.proven(found), "ok" if not found.note else "warning")
        else:
            self.host.say(f"{found.why}; compare with an exported copy", "failed")
        self.host.looked()

    def _note_ended(self, text: str) -> None:
        self._job = None
        self._show_title()
        self.host.say(f"not verified: {text}", "warning")

    def action_fault(self) -> None:
        """Go to the first bad entry, or to where it is missing."""
        if self._verified is not None and self._verified.bad_seq is not None:
            self.go_to(f"@{self._verified.bad_seq}")

    def action_export(self) -> None:
        """Ask where to, then write the log."""
        onaudit.export(self.host, self._entries.expression)

    # Signatures

    def action_checkpoint(self) -> None:
        """Sign the head now."""
        onaudit.sign(self.host)

    def action_witness(self) -> None:
        """Send the signed head to somebody who keeps it."""
        onaudit.ask_witness(self.host, self._signed.witness)

    def line(self, word: str, rest: str) -> bool:
        """See Panel.line: the head goes to the target that is named."""
        if word != "witness":
            return False
        onaudit.send_head(self.host, rest)
        return True


def _objection(expression: str) -> str:
    try:
        bridge.parse_filter(expression, bridge.AUDIT_FIELDS)
    except bridge.BadInput as error:
        return str(error)
    return ""
