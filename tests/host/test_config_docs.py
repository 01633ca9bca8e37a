"""docs/configuration.md and the schema say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.channels.registry import options_model
from engine.host.config import schema
from engine.host.config.environment import variables
from engine.host.config.load import load
from engine.host.config.reference import Key, all_keys
from engine.host.config.show import entries
from engine.host.config.splice import flow, inserted
from engine.host.paths import Paths, paths

DOCS = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| (?:`([^`]*)`)? ?\| (.+) \|$", re.MULTILINE)


@pytest.fixture
def found(tmp_path: Path) -> Paths:
    return paths(str(tmp_path), str(tmp_path / "config.yaml"), {"HOME": "/nowhere"})._replace(config_named=False)


def test_every_key_is_documented_with_its_type_and_default() -> None:
    documented = [Key(name, kind, default) for name, kind, default, _ in ROW.findall(DOCS)]
    assert documented == all_keys()


def test_the_documented_example_is_valid_in_production(found: Paths) -> None:
    example = DOCS.split("## An example")[1].split("```yaml")[1].split("```")[0]
    settings = load(found, {}, options_model, hostname="box", text=example.encode())
    assert settings.production
    assert set(settings.targets) == {"me", "hook", "archive"}
    assert settings.targets["me"].retry.attempts == 10


def test_every_variable_that_the_text_names_exists() -> None:
    named = set(re.findall(r"\bCHRONOS_[A-Z_]*[A-Z]\b", DOCS))
    others = {"CHRONOS_DATA_DIR", "CHRONOS_CONFIG_FILE", "CHRONOS_DEBUG", "CHRONOS_SECRET", "CHRONOS_SECRET_SMTP"}
    others |= {"CHRONOS_PASSPHRASE_FILE"}
    unknown = {name for name in named - others if name.removesuffix("_FILE") not in variables()}
    assert unknown == {"CHRONOS_TARGETS_ARCHIVE"}


def test_show_names_every_documented_key_of_a_section_with_its_default(found: Paths) -> None:
    settings = load(found, {}, options_model, hostname="box")
    shown = {entry.key: entry for entry in entries(settings)}
    for key in all_keys():
        if key.name.split(".")[0] in schema.SECTIONS:
            assert shown[key.name].origin == "default"
    assert shown["database.timeout"].value == "30s"
    assert shown["outbox.max_message"].value == "32MiB"


def test_what_show_says_can_be_written_back(found: Paths) -> None:
    text = "targets: {m: {channel: maildir, path: x, rate: 20/m, timeout: 1m30s}}\nroutes: {r: [m]}\n"
    settings = load(found, {}, options_model, hostname="box", text=(text + "http: {max_body: 1500}\n").encode())
    lines = []
    written = ""
    for entry in entries(settings):
        written = inserted(written, tuple(entry.key.split(".")), entry.value) or pytest.fail(entry.key)
        lines.append(f"{entry.key}: {flow(entry.value)}")
    again = load(found, {}, options_model, hostname="other", text=written.encode())
    assert [f"{entry.key}: {flow(entry.value)}" for entry in entries(again)] == lines
    assert "targets.m.timeout: 1m30s" in lines
    assert "http.max_body: 1500" in lines


def test_defaults_are_named_as_the_origin_of_a_targets_key(found: Paths) -> None:
    text = b"defaults:\n  timeout: 5s\ntargets:\n  m: {channel: maildir, path: x}\n"
    settings = load(found, {}, options_model, hostname="box", text=text)
    origins = {entry.key: entry.origin for entry in entries(settings)}
    assert origins["targets.m.timeout"] == "file:2"
    assert origins["targets.m.path"] == "file:4"
    assert origins["targets.m.breaker"] == "default"
