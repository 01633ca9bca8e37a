"""The cache of the effective configuration: quick, never stale, never trusted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engine.channels.registry import options_model
from engine.host.config.cache import fingerprint, load_cached, settings_from_json, settings_to_json
from engine.host.config.load import load
from engine.host.paths import Paths, paths
from engine.model import Settings

TEXT = """\
targets:
  m: {channel: maildir, path: x, rate: 20/m, headers: {X-A: b}, on_uncertain: ask, retry: {attempts: 2, jitter: 0.5}}
  o: {channel: telegram, chat_id: 5}
routes: {r: [m, {after: 1m, to: o}]}
smtp: {host: a, password: "secret:smtp"}
"""


class Loader:
    """Loads for real and counts how often."""

    def __init__(self, found: Paths, env: Mapping[str, str]) -> None:
        self.found = found
        self.env = env
        self.calls = 0

    def __call__(self) -> Settings:
        self.calls += 1
        return load(self.found, self.env, options_model, hostname="box")


@pytest.fixture
def found(tmp_path: Path) -> Paths:
    data, conf = tmp_path / "data", tmp_path / "conf"
    data.mkdir(mode=0o700)
    conf.mkdir()
    (conf / "config.yaml").write_text(TEXT)
    return paths(str(data), str(conf / "config.yaml"), {"HOME": "/nowhere"})


def later_ns() -> int:
    """A clock for which the file was written a while ago: its change time cannot be set."""
    return time.time_ns() + 60_000_000_000


def reads(found: Paths, env: Mapping[str, str], now_ns: Callable[[], int] = later_ns) -> int:
    """Return how often one more load reads the configuration for real."""
    loader = Loader(found, env)
    assert load_cached(found, env, loader, now_ns=now_ns).targets.keys() == {"m", "o"}
    return loader.calls


def test_settings_survive_json(found: Paths) -> None:
    settings = Loader(found, {})()
    assert settings_from_json(settings_to_json(settings)) == settings._replace(origin={})


def test_every_change_is_noticed_and_nothing_else(found: Paths) -> None:
    assert [reads(found, {}), reads(found, {})] == [1, 0]
    assert reads(found, {"CHRONOS_SECRET_X": "1", "CHRONOS_DEBUG": "1", "PATH": "x"}) == 0
    assert reads(found, {"CHRONOS_SMTP_PORT": "1"}) == 1
    assert [reads(found, {}), reads(found, {})] == [1, 0]
    before = found.config_file.stat()
    found.config_file.write_text(TEXT.replace("host: a", "host: b"))
    os.utime(found.config_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    loader = Loader(found, {})
    assert load_cached(found, {}, loader).smtp["host"] == "b"
    found.config_file.unlink()
    found = found._replace(config_named=False)
    assert load_cached(found, {}, Loader(found, {})).smtp["host"] == ""


def test_a_file_behind_a_variable_is_watched_too(found: Paths, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("25")
    env = {"CHRONOS_SMTP_PORT_FILE": str(tmp_path / "port")}
    before = fingerprint(found, env)
    (tmp_path / "port").write_text("26")
    assert fingerprint(found, env) != before


def test_a_file_changed_just_now_is_not_cached(found: Paths) -> None:
    changed = found.config_file.stat().st_ctime_ns
    moments = iter((changed, changed + 1_900_000_000, changed - 3_600_000_000_000))
    assert [reads(found, {}, moments.__next__) for _ in range(3)] == [1, 1, 1]
    os.utime(found.config_file, ns=(later_ns() * 2, later_ns() * 2))
    assert reads(found, {}) == 1
    assert not found.config_cache.exists()


def test_damage_means_reading_for_real(found: Paths) -> None:
    reads(found, {})
    good = found.config_cache.read_bytes()
    assert reads(found, {}) == 0
    bad = [b"", b"\n", b"\xff\n\xff", good[:-5], good[:200], good.replace(b'"host":"a"', b'"host":"z"'), b"[" * 100_000]
    for data in bad:
        found.config_cache.write_bytes(data)
        assert reads(found, {}) == 1
        assert reads(found, {}) == 0


@pytest.mark.parametrize("text", ["{}", "[]", "1", '{"targets": {"a": {}}, "routes": {}}', "nonsense", "[" * 100_000])
def test_other_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        settings_from_json(text)


def test_the_cache_is_private_holds_no_secret_and_is_not_followed(found: Paths, tmp_path: Path) -> None:
    env = {"CHRONOS_SECRET_SMTP": "hunter2-canary"}
    reads(found, env)
    assert found.config_cache.stat().st_mode & 0o777 == 0o600
    assert b"canary" not in found.config_cache.read_bytes()
    moved = tmp_path / "moved"
    found.config_cache.rename(moved)
    found.config_cache.symlink_to(moved)
    assert reads(found, env) == 1


def test_a_cache_that_others_can_change_is_not_trusted(found: Paths) -> None:
    reads(found, {})
    found.config_cache.chmod(0o666)
    assert reads(found, {}) == 1


def test_a_directory_that_is_missing_or_open_gets_no_cache(found: Paths) -> None:
    found.data_dir.chmod(0o777)
    assert [reads(found, {}), reads(found, {})] == [1, 1]
    found.data_dir.rmdir()
    assert reads(found, {}) == 1
    assert not found.data_dir.exists()


def test_a_cached_load_imports_nothing_heavy(found: Paths) -> None:
    reads(found, {})
    code = (
        "import json, os, sys\n"
        "from engine.host.config.cache import load_cached\n"
        "from engine.host.paths import paths\n"
        "found = paths(sys.argv[1], sys.argv[2], {'HOME': '/'})\n"
        "print(load_cached(found, {}, lambda: sys.exit(3)).smtp['host'])\n"
        "heavy = {'pydantic', 'ruamel', 'ruamel.yaml', 'platformdirs', 'logging', 'tempfile', 'difflib'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(found.data_dir), str(found.config_file)],
        capture_output=True,
        text=True,
        check=True,
    )
    host, heavy = ran.stdout.splitlines()
    assert (host, json.loads(heavy)) == ("a", [])
