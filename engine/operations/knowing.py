"""What can be named: the values that a filter or a scope may hold, for completion. Changes nothing."""

from __future__ import annotations

from engine.operations.context import Context
from engine.rules import scopes
from engine.store import audit, search
from engine.store.tx import Tx

MOST = 500
"""Values of one kind; of very many ad hoc addresses or tags the first ones."""


def known_values(context: Context) -> dict[str, tuple[str, ...]]:
    """Return what is configured or in use, sorted, by the filter's field: of the outbox channel, target, template,
    route and tag; of the audit log action and actor (those who did something lately).
    """
    settings = context.settings
    configured = {
        "channel": {spec.channel for spec in settings.targets.values()},
        "target": set(settings.targets),
        "route": set(settings.routes),
    }

    def work(tx: Tx) -> dict[str, list[str]]:
        actions = [*audit.COMMON, *audit.rare_actions(tx)]
        return {
            "channel": search.channels(tx),
            "target": search.targets(tx)[:MOST],
            "template": search.templates(tx, MOST),
            "route": search.routes(tx, MOST),
            "tag": search.tags(tx, MOST),
            "action": [*actions, *(action.partition(".")[0] for action in actions)],
            "actor": audit.actors(tx),
        }

    found = context.database.read(work)
    return {name: tuple(sorted(configured.get(name, set()).union(values))) for name, values in found.items()}


def scope_of(context: Context, word: str) -> str:
    """Return the scope that a person means by a word; see rules.scopes. Raises BadInput, NotFound."""
    used, templates = context.database.read(lambda tx: (search.channels(tx), search.templates(tx, MOST)))
    return scopes.scope_of(context.settings, word, channels=used, templates=templates)
