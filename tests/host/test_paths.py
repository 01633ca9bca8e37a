"""Which directory and which file is chosen. Creates nothing outside tmp_path."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import BadInput
from engine.host.paths import config_file, data_dir, database_file, paths, with_database

HOME = {"HOME": "/home/op"}


def test_the_option_wins_over_every_variable() -> None:
    env = {**HOME, "CHRONOS_DATA_DIR": "/b", "STATE_DIRECTORY": "/c"}
    assert data_dir("/a", env) == Path("/a")
    assert data_dir(None, env) == Path("/b")


def test_systemd_comes_before_the_platform_and_its_first_directory_counts() -> None:
    assert data_dir(None, {**HOME, "STATE_DIRECTORY": "/var/lib/chronos:/var/lib/other"}) == Path("/var/lib/chronos")


def test_the_platform_directory_follows_xdg_and_ignores_a_relative_one() -> None:
    assert data_dir(None, HOME) == Path("/home/op/.local/share/chronos")
    assert data_dir(None, {**HOME, "XDG_DATA_HOME": "/x"}) == Path("/x/chronos")
    assert data_dir(None, {**HOME, "XDG_DATA_HOME": "x"}) == Path("/home/op/.local/share/chronos")
    assert config_file(None, HOME, Path("/d")) == Path("/home/op/.config/chronos/config.yaml")


def test_the_platform_directory_agrees_with_platformdirs(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformdirs

    monkeypatch.setenv("HOME", "/home/op")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert data_dir(None, HOME) == Path(platformdirs.user_data_dir("chronos", appauthor=False))
    assert config_file(None, HOME, Path("/d")).parent == Path(platformdirs.user_config_dir("chronos", appauthor=False))


def test_a_home_is_found_without_the_variable_or_asked_for() -> None:
    assert data_dir(None, {}).is_absolute()
    with pytest.raises(BadInput, match="--data-dir"):
        data_dir(None, {"HOME": "relative"})


def test_a_tilde_in_a_crontab_is_expanded() -> None:
    assert data_dir(None, {**HOME, "CHRONOS_DATA_DIR": "~/out"}) == Path("/home/op/out")


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_useless_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="--data-dir"):
        data_dir(name, HOME)


def test_paths_are_absolute_and_below_the_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = paths("here", None, HOME)
    assert found.data_dir == tmp_path / "here"
    inside = [found.database, found.engine_lock, found.write_lock, found.degraded, found.logs, found.backups]
    assert {path.parent for path in inside} == {tmp_path / "here"}
    assert found.write_lock.name == "write.lock"
    assert found.degraded.name == "DEGRADED"
    assert found.config_cache.name == "config.cache.json"


def test_a_named_data_directory_with_a_config_is_self_contained(tmp_path: Path) -> None:
    env = {**HOME, "CONFIGURATION_DIRECTORY": "/etc/chronos"}
    assert paths(str(tmp_path), None, env).config_file == Path("/etc/chronos/config.yaml")
    (tmp_path / "config.yaml").write_text("")
    assert paths(str(tmp_path), None, env).config_file == tmp_path / "config.yaml"
    assert paths(None, None, {**env, "CHRONOS_DATA_DIR": str(tmp_path)}).config_file == tmp_path / "config.yaml"
    assert paths(None, None, {**env, "STATE_DIRECTORY": str(tmp_path)}).config_file == Path("/etc/chronos/config.yaml")


def test_a_named_config_file_wins_over_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("")
    assert paths(str(tmp_path), "/x.yaml", HOME).config_file == Path("/x.yaml")
    assert paths(str(tmp_path), None, {**HOME, "CHRONOS_CONFIG_FILE": "/y.yaml"}).config_file == Path("/y.yaml")


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///chronos.db", "/data/chronos.db"),
        ("sqlite+aiosqlite:///chronos.db", "/data/chronos.db"),
        ("sqlite:///sub/x.db", "/data/sub/x.db"),
        ("sqlite:////srv/x.db", "/srv/x.db"),
    ],
)
def test_a_database_url_names_a_file(url: str, file: str) -> None:
    assert database_file(url, Path("/data")) == Path(file)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///x",
        "sqlite://x",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///x.db?mode=ro",
        "x.db",
        "sqlite:///a/",
    ],
)
def test_any_other_database_is_refused(url: str) -> None:
    with pytest.raises(BadInput):
        database_file(url, Path("/data"))


def test_two_data_directories_that_share_a_database_share_its_locks() -> None:
    one = with_database(paths("/one", None, HOME), "sqlite:////srv/x.db")
    two = with_database(paths("/two", None, HOME), "sqlite:////srv/x.db")
    assert one.engine_lock == two.engine_lock
    assert one.write_lock == two.write_lock
    assert one.degraded == two.degraded
    assert with_database(paths("/one", None, HOME), "sqlite:///other.db").engine_lock == Path("/one/engine.lock")
