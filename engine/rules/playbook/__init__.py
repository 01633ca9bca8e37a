"""The playbook: a page for each kind of incident. Text only; raises nothing."""

from __future__ import annotations

from engine.rules.incidents import Kind
from engine.rules.playbook.page import Page as Page


def page(kind: str) -> Page | None:
    """Return the page of a kind; None for one that this version does not know."""
    return next((one for one in pages() if one.kind == kind), None)


def pages() -> tuple[Page, ...]:
    """Return every page, in the order of Kind."""
    from engine.rules.playbook import backups, door, machine

    order = list(Kind)
    return tuple(sorted((*door.PAGES, *machine.PAGES, *backups.PAGES), key=lambda one: order.index(one.kind)))
