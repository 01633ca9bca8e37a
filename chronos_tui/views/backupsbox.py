"""The overview's words about backups: the last proven restore, the newest one, the next, copies, what runs. Pure."""

from __future__ import annotations

from chronos_tui import bridge
from chronos_tui.views import backups, when
from chronos_tui.views.overview import Item, Items, cut
from chronos_tui.views.spans import Line, Span

_PANEL = "backups"
_WORDS = {"proven": ("proven", ""), "unproven": ("! not proven", "warning"), "failed": ("✗ failed", "failed")}


def items(found: bridge.BackupStanding, now_ms: int, cells: int) -> Items:
    """Return what there is to go back to, beside each other where there is room; Enter leads to the panel."""
    if not found.count and not found.under_way:
        none = (Span("No backup yet. ", "dim"), Span("4", "accent"), Span(" b", "accent"), Span(" makes one.", "dim"))
        return (_item(none, "none", cells), _next(found, now_ms, cells))
    proven = (backups.last_proven(found, now_ms),)
    shown = [_item(proven, "proven", cells)] if found.count else []
    if found.under_way:
        shown.append(_item(backups.under_way(found.under_way[0], cells - 2, keys=False), "running", cells))
    if found.newest_ms is not None:
        shown.append(_item(_newest(found, now_ms), "newest", cells))
    if found.copies_failing:
        words = (Span(f"✗ copies off the box failing: {found.copies_failing}", "failed"),)
        shown.append(_item(words, "copies", cells))
    return (*shown, _next(found, now_ms, cells))


def _newest(found: bridge.BackupStanding, now_ms: int) -> Line:
    assert found.newest_ms is not None, "there is one"
    words, role = _WORDS.get(found.newest_proof, (bridge.safe_line(found.newest_proof, 20), ""))
    why = f": {bridge.safe_line(found.newest_detail, 200)}" if role and found.newest_detail else ""
    files = "1 file" if found.count == 1 else f"{found.count} files"
    total = f"  {files}, {bridge.format_size(found.size)}"
    return (Span(f"newest {when.ago(found.newest_ms, now_ms)}, "), Span(f"{words}{why}", role), Span(total, "dim"))


def _next(found: bridge.BackupStanding, now_ms: int, cells: int) -> Item:
    waiting = f", {found.copies_waiting} copies to make" if found.copies_waiting else ""
    return _item((backups.next_one(found, now_ms), Span(waiting, "dim")), "next", cells)


def _item(line: Line, key: str, cells: int) -> Item:
    return Item(cut(line, cells - 2), key, beside=key != "running", panel=_PANEL)
