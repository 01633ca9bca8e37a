"""`sources:` as the configuration reads it: each scheme has its own keys, and what is weak is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from engine.channels.registry import options_model
from engine.errors import ConfigError
from engine.host.config.cache import settings_from_json, settings_to_json
from engine.host.config.checks import references, warnings
from engine.host.config.load import load
from engine.host.paths import paths
from engine.model import Settings

TARGETS = "targets: {me: {channel: maildir, path: x}, chat: {channel: telegram, chat_id: 1}}\nsources:\n"
CANARY = "hunter2canary"


def read(*sources: str, env: Mapping[str, str] | None = None) -> Settings:
    text = TARGETS + "".join(f"  s{number}: {{{source}}}\n" for number, source in enumerate(sources))
    return load(paths("/nonexistent", None, {}), env or {}, options_model, hostname="b", text=text.encode())


def problems(*sources: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(*sources)
    assert CANARY not in str(caught.value)
    return caught.value.problems


def test_every_kind_has_its_defaults() -> None:
    found = read(
        "verify: standard-webhooks, secret: 'secret:a', deliver: {target: me}",
        "verify: stripe, secret: ['secret:a', 'secret:b'], deliver: {target: me}",
        "verify: hmac, secret: 'secret:a', header: X-Sig, deliver: {target: me}",
        "verify: API-KEY, keep: 2d, deliver: {target: me, expires: 2h, when: {action: [a, 1], draft: false}}",
    ).sources
    standard, stripe, plain, keyed = found.values()
    assert (standard["secret"], standard["keep_ms"]) == (["secret:a"], 30 * 86_400_000)
    assert (stripe["secret"], stripe["header"]) == (["secret:a", "secret:b"], "Stripe-Signature")
    assert (plain["algorithm"], plain["encoding"], plain["prefix"], plain["id_path"]) == ("sha256", "hex", "", None)
    assert (keyed["verify"], keyed["keep_ms"], keyed["deliver"]["expires_ms"]) == ("api-key", 172_800_000, 7_200_000)
    assert keyed["deliver"]["when"] == {"action": ["a", 1], "draft": False}


def test_the_cache_gives_back_what_was_read() -> None:
    found = read(
        "verify: stripe, secret: ['secret:a', 'secret:b'], deliver: {target: me, tags: ['{type}'], when: {a: 1}}"
    )
    assert settings_from_json(settings_to_json(found)).sources == found.sources
    assert references(found) == ["secret:a", "secret:b"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("verify: githb, secret: 'secret:a', deliver: {target: me}", "s0.verify: must be one of standard-webhooks,"),
        ("secret: 'secret:a', deliver: {target: me}", "s0.verify: is missing"),
        ("verify: github, deliver: {target: me}", "s0.secret: is missing"),
        ("verify: github, secret: [], deliver: {target: me}", "s0.secret: must be one secret:NAME, or a list"),
        (f"verify: github, secret: {CANARY}, deliver: {{target: me}}", "s0.secret: a secret does not stand"),
        (f"verify: github, secret: ['secret:a', {CANARY}], deliver: {{target: me}}", "s0.secret: a secret does not"),
        ("verify: hmac, secret: 'secret:a', deliver: {target: me}", "s0.header: is missing"),
        ("verify: hmac, secret: 'secret:a', heder: X, deliver: {target: me}", "s0.heder: unknown key; did you mean"),
        ("verify: hmac, secret: 'secret:a', header: 'X Y', deliver: {target: me}", "must be the name of a header"),
        ("verify: hmac, secret: 'secret:a', header: X, algorithm: md5, deliver: {target: me}", "one of sha256, sha512"),
        ("verify: hmac, secret: 'secret:a', header: X, id_path: 'a b', deliver: {target: me}", "s0.id_path: 'a b' is"),
        ("verify: github, secret: 'secret:a', header: X, deliver: {target: me}", "s0.header: unknown key"),
        ("verify: api-key, secret: 'secret:a', deliver: {target: me}", "s0.secret: unknown key"),
        ("verify: api-key, deliver: {}", "s0.deliver: needs target"),
        ("verify: api-key", "s0.deliver: is missing"),
        ("verify: api-key, deliver: {target: mee}", "unknown target or route mee; did you mean me?"),
        ("verify: api-key, deliver: {target: me, sbject: x}", "s0.deliver.sbject: unknown key; did you mean subject?"),
        ("verify: api-key, deliver: {target: me, text: 'a {b'}", "s0.deliver.text: a lone { at character 3"),
        ("verify: api-key, deliver: {target: me, tags: ['{a b}']}", "s0.deliver.tags: 'a b' is no path"),
        ("verify: api-key, deliver: {target: me, when: {'a b': 1}}", "s0.deliver.when: 'a b' is no path"),
        ("verify: api-key, deliver: {target: me, when: {a: {b: 1}}}", "s0.deliver.when: a: must be a text"),
        ("verify: api-key, deliver: {target: me, when: {a: []}}", "s0.deliver.when: a: must be a text"),
        ("verify: api-key, deliver: {target: me, text: '{headers.cookie}'}", "may hold a secret"),
        ("verify: api-key, keep: 1s, deliver: {target: me}", "s0.keep: must be from 1h"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(source: str, words: str) -> None:
    found = problems(source)
    assert any(one.startswith("config.yaml:3: sources.") and words in one for one in found), found


def test_every_problem_is_reported_at_once() -> None:
    assert len(problems("verify: x, heder: y, deliver: {target: me}", "verify: github, deliver: {target: me}")) == 3


def _warned(source: str) -> list[str]:
    return [line for line in warnings(read(source)) if line.startswith("sources.")]


def test_weak_and_unfinished_combinations_are_warned_of() -> None:
    weak = "verify: hmac, secret: 'secret:a', header: X, deliver: {target: me}"
    assert ["two equal events look like one" in line for line in _warned(weak)] == [True]
    assert ["a recorded request stays valid" in line for line in _warned(f"id_path: id, {weak}")] == [True]
    assert _warned(f"timestamp_header: X-T, {weak}") == []
    assert ["later version" in line for line in _warned("verify: api-key, deliver: {target: me, template: x}")] == [
        True
    ]
    assert _warned("verify: api-key, deliver: {target: me, template: x, text: '{a}'}") == []
    assert ["does not have" in line for line in _warned("verify: api-key, deliver: {target: chat}")] == [True]


def test_a_source_may_stand_in_the_environment() -> None:
    env = {"CHRONOS_SOURCES_HOOK": "{verify: github, secret: ['secret:a', 'secret:b'], deliver: {target: me}}"}
    found: Any = read("verify: api-key, deliver: {target: me}", env=env).sources
    assert found["hook"]["secret"] == ["secret:a", "secret:b"]
