"""Files that are broken, or made to break the reader: one clear line each, at once, and never a traceback."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.channels.registry import options_model
from engine.errors import ConfigError
from engine.host.config.load import load
from engine.host.config.tree import parse, parse_value
from engine.host.paths import Paths, paths

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


def problems_of(tmp_path: Path, data: bytes) -> list[str]:
    (tmp_path / "config.yaml").write_bytes(data)
    (tmp_path / "config.yaml").chmod(0o600)
    return problems_at(paths(str(tmp_path), str(tmp_path / "config.yaml"), {"HOME": "/nowhere"}))


def problems_at(found: Paths) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(found, {}, options_model, hostname="box")
    assert all(problem and "\n" not in problem for problem in caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("smtp:\n\tport: 25\n", 2, "tab"),
        ("smtp: {port: 25\nhttp: {}\n", 2, "not valid YAML"),
        ("a: 'open\n", 2, "not valid YAML"),
        ("- smtp\n", 1, "not a list"),
        ("just words\n", 1, "not a list or text"),
        ("smtp: {}\n---\nsmtp: {}\n", 2, "another document"),
        ("x: &a {port: 25}\nsmtp:\n  <<: *a\n", 3, "merge keys"),
        ("smtp: &a {x: *a}\n", 1, "inside what it refers to"),
        (BOMB, 5, "too much to be read"),
        ("a: &a x\nb: [" + "*a, " * 200 + "]\n", 2, "100 aliases"),
        ("smtp: {port: " + "9" * 5000 + "}\n", 1, "too large"),
        ("smtp: {port: .inf}\n", 1, "too large, infinite"),
        ("smtp: {port: .nan}\n", 1, "not a number"),
        ("smtp: !!python/object:os.system x\n", 1, "tags"),
        ("smtp: {host: !env HOME}\n", 1, "tags"),
        ("smtp: !!set {a}\n", 1, "tags"),
        ("%YAML 1.1\n---\nhttp: {enabled: no}\n", 1, "YAML 1.2"),
        ("smtp: {host: *nothing}\n", 1, "unknown alias"),
        ("smtp: {host: a}\nhttp: {}\nsmtp: {port: 25}\n", 3, "first in line 1"),
        ("smtp: {host: a, host: b}\n", 1, "smtp.host: stands here again"),
        ("? [a, b]\n: 1\n", 1, "plain word"),
        ('smtp: {host: "a\\0b"}\n', 1, "NUL"),
        ('smtp: {host: "\\ud800"}\n', 1, "half a character"),
        ("a: 1\nb: \x07\n", 2, "control character"),
        ("x: " + "[" * 5000 + "\n", 1, "nested too deeply"),
    ],
    ids=lambda value: str(value)[:30].encode("unicode_escape").decode(),
)
def test_a_hostile_text_is_one_clear_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    problems = problems_of(tmp_path, text.encode())
    assert any(problem.startswith(f"config.yaml:{line}: ") and words in problem for problem in problems), problems


def test_the_alias_bomb_costs_nothing(tmp_path: Path) -> None:
    document = parse(BOMB)
    assert len(document.problems) == 1
    assert len(str(document.values)) < 100_000


def test_honest_aliases_are_read() -> None:
    many = list(range(150))
    assert parse(f"a: &x {many}\nb: *x\n").values == {"a": many, "b": many}


def test_what_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    assert problems_of(tmp_path, b"# ok\nsmtp: {host: b\xfcro}\n") == [
        "config.yaml:2: is not UTF-8 text; save the file as UTF-8"
    ]
    assert "UTF-8" in problems_of(tmp_path, "smtp: {}".encode("utf-16"))[0]


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(b"\xef\xbb\xbfinstance: bom\r\n")
    found = paths(str(tmp_path), str(tmp_path / "config.yaml"), {"HOME": "/nowhere"})
    assert load(found, {}, options_model, hostname="box").instance == "bom"


def test_a_huge_file_a_directory_and_a_pipe_are_refused_at_once(tmp_path: Path) -> None:
    assert "larger than 1024 KiB" in problems_of(tmp_path, b"#" * (1024 * 1024 + 1))[0]
    os.mkfifo(tmp_path / "pipe")
    for name in (".", "pipe"):
        (problem,) = problems_at(paths(str(tmp_path), str(tmp_path / name), {"HOME": "/nowhere"}))
        assert "not a regular file" in problem


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (problem,) = problems_at(paths(str(tmp_path), str(tmp_path / "loop"), {"HOME": "/nowhere"}))
    assert "cannot be read" in problem


@pytest.mark.parametrize(
    "text", ["010", "1_000", "0o17", "0x1F", "12:30:00", "2026-01-01", "2026-99-99", "=", "~", "null"]
)
def test_scalars_follow_yaml_1_2(text: str) -> None:
    expected = {"010": 10, "1_000": 1000, "0o17": 15, "0x1F": 31, "~": None, "null": None}
    assert parse_value(text) == expected.get(text, text)


@given(st.text(max_size=60))
@example("%YAML")
@example("a: !!int x")
@example("\x85")
def test_no_text_makes_the_parser_raise(text: str) -> None:
    document = parse(text)
    assert isinstance(document.values, dict)
    assert all(line >= 1 and "\n" not in words for line, words in document.problems)


@given(st.binary(max_size=40), st.sampled_from(["smtp: {%s}", "targets: {a: {%s}}", "%s: 1", "routes: {a: [%s]}"]))
def test_no_file_makes_the_loader_raise_anything_but_a_config_error(data: bytes, frame: str) -> None:
    found = paths("/nowhere", "/nowhere/config.yaml", {"HOME": "/nowhere"})
    text = frame.encode().replace(b"%s", data)
    with contextlib.suppress(ConfigError):
        load(found, {}, options_model, hostname="box", text=text)
