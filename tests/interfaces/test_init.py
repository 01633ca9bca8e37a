"""`chronos init`, and the demo from the first command to the last delivery."""

from __future__ import annotations

import stat

import pytest

from tests.interfaces.program import Box, run


@pytest.fixture
def empty(box: Box) -> Box:
    """Nothing there yet."""
    (box.data_dir / "config.yaml").unlink()
    box.data_dir.rmdir()
    return box


def test_init_writes_a_configuration_that_is_valid_and_keeps_it(empty: Box) -> None:
    first = empty.ok("init", "--json").json
    assert first["config_written"] is True
    file = empty.data_dir / "config.yaml"
    assert first["config_file"] == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(empty.data_dir.stat().st_mode) == 0o700
    empty.ok("config", "check")
    file.write_text("environment: production\n")
    assert empty.ok("init", "--json").json["config_written"] is False
    assert file.read_text() == "environment: production\n"


def test_without_a_data_directory_it_goes_where_the_platform_keeps_such_things(empty: Box) -> None:
    command = [word for word in empty.command("init") if word not in {"--data-dir", str(empty.data_dir)}]
    done = run(command, empty.env, "", empty.home)
    assert done.code == 0
    assert (empty.home / ".config" / "chronos" / "config.yaml").exists()
    assert (empty.home / ".local" / "share" / "chronos" / "chronos.db").exists()


def test_nothing_needs_init(empty: Box) -> None:
    uid = empty.send("--text", "x", target=f"maildir:{empty.home}/mail")
    assert empty.ok("outbox", "show", uid, "--json").json["state"] == "queued"


def test_the_demo_delivers_retries_buries_and_reroutes(empty: Box) -> None:
    assert empty.ok("init", "--demo", "--json").json["queued"] == 6
    assert empty.ok("init", "--demo", "--json").json == {
        **empty.ok("init", "--demo", "--json").json,
        "config_written": False,
        "queued": 0,
    }
    with empty.engine() as engine:
        engine.event("delivered", target="flaky", attempt=2)
        assert engine.stop() == 0
    found = empty.ok("outbox", "list", "--filter", "tag:demo", "--json").json["messages"]
    assert {one["subject"]: (one["state"], one["target"], one["attempts"]) for one in found} == {
        "Welcome to Chronos": ("delivered", "me", 1),
        "Nightly job finished": ("delivered", "hook", 1),
        "Disk report": ("delivered", "flaky", 2),
        "Form submission": ("dead", "refuse", 1),
        "Backup finished": ("delivered", "archive", 1),
        "Backup failed on box": ("delivered", "me", 2),
    }
    assert len(list((empty.data_dir / "demo-inbox").glob("*-mail.eml"))) == 2
    assert empty.ok("init", "--demo", "--sample", "--json").json["queued"] == 6


def test_a_demo_does_not_take_over_a_configuration_of_yours(box: Box) -> None:
    refused = box.chronos("init", "--demo")
    assert refused.code == 5
    assert "is there already and is no demo's" in refused.one_line


def test_a_root_key_lies_where_init_is_told(empty: Box) -> None:
    refused = empty.chronos("init", "--root-key", "keyring")
    assert refused.code == 5
    assert "no OS keyring can be used here" in refused.one_line
    made = empty.ok("init", "--root-key", "file", "--json").json
    assert made["vault"]["provider"] == "file"
    assert stat.S_IMODE((empty.data_dir / "root.key").stat().st_mode) == 0o600
    assert empty.chronos("init", "--sample").code == 2
