"""What a person means by a word that is to be paused."""

from __future__ import annotations

import pytest

from engine.errors import BadInput, NotFound
from engine.model import RouteStep
from engine.rules.scopes import check_scope, scope_of
from tests.support import settings, target

_SETTINGS = settings(
    {
        "ops": target("ops", channel="email"),
        "webhook": target("webhook", channel="webhook"),
        "weekly": target("weekly", channel="email"),
    },
    {"alerts": (RouteStep("ops"), RouteStep("weekly", 60_000))},
)
_TEMPLATES = ("weekly", "n8n-event")


def _scope_of(word: str) -> str:
    return scope_of(_SETTINGS, word, channels=("maildir",), templates=_TEMPLATES)


@pytest.mark.parametrize(
    ("word", "scope"),
    [
        ("all", "all"),
        (" all ", "all"),
        ("email", "channel:email"),
        ("maildir", "channel:maildir"),
        ("ops", "target:ops"),
        ("n8n-event", "template:n8n-event"),
        ("target:webhook", "target:webhook"),
        ("channel:webhook", "channel:webhook"),
        ("template:not-seen-yet", "template:not-seen-yet"),
        ("target:mailto:a@example.org", "target:mailto:a@example.org"),
    ],
)
def test_a_word_names_one_thing(word: str, scope: str) -> None:
    assert _scope_of(word) == scope
    check_scope(_SETTINGS, scope)


@pytest.mark.parametrize(
    ("word", "both"),
    [("webhook", "channel:webhook or target:webhook"), ("weekly", "target:weekly or template:weekly")],
)
def test_a_word_for_two_things_is_refused_with_both(word: str, both: str) -> None:
    with pytest.raises(BadInput, match=f"^{word} is more than one thing: write {both}$"):
        _scope_of(word)


def test_a_route_names_its_targets() -> None:
    for word in ("alerts", "target:alerts"):
        with pytest.raises(BadInput, match="alerts is a route; hold its targets: target:ops, target:weekly"):
            _scope_of(word)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("emial", "did you mean email[?]"),
        ("n8n-evnt", "did you mean n8n-event[?]"),
        ("al", "did you mean all[?]"),
        ("xyzzy", "use all, channel:email, target:ops or template:x"),
        ("", "use all, channel:email, target:ops or template:x"),
        ("target:opps", "did you mean ops[?]"),
        ("\x1b[31m" + "x" * 500, "use all, channel:email, target:ops or template:x"),
    ],
)
def test_an_unknown_word_is_refused_with_what_was_probably_meant(word: str, hint: str) -> None:
    with pytest.raises(NotFound, match=hint) as refused:
        _scope_of(word)
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("word", ["channel:", "template:a\nb", "target:" + "x" * 300])
def test_a_scope_that_is_none_is_refused(word: str) -> None:
    with pytest.raises(BadInput, match="use all, channel:email, target:ops or template:x"):
        _scope_of(word)
