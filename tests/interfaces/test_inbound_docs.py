"""docs/inbound.md word for word: its configurations are valid, and its commands send events to a real engine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.channels.registry import options_model
from engine.host.config.load import load
from engine.host.paths import paths
from tests.interfaces.program import TIME_OUT_S, Box

DOCS = (Path(__file__).parents[2] / "docs" / "inbound.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
TARGETS = "targets: {mail: {channel: maildir, path: mail}}\n"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STATED = "http://127.0.0.1:8467"


def block(language: str, word: str) -> str:
    """Return the first block of a language that has a word in it."""
    return next(text for found, text in BLOCKS if found == language and word in text)


def configuration() -> str:
    """Return all sources of the text in one file."""
    sources = [text.split("sources:\n", 1)[1] for language, text in BLOCKS if language == "yaml"]
    return TARGETS + "sources:\n" + "".join(sources)


@pytest.mark.parametrize("text", [text for language, text in BLOCKS if language == "yaml"])
def test_every_configuration_of_the_text_is_valid(text: str) -> None:
    text = text if text.startswith("targets:") else TARGETS + text
    where = paths("/nonexistent", None, {})
    (source,) = load(where, {}, options_model, hostname="b", text=text.encode()).sources.values()
    assert source["deliver"]["target"] == "mail"


@pytest.fixture
def url(box: Box) -> Iterator[str]:
    """Where an engine listens that has every source of the text."""
    box.configure(configuration())
    box.extra.update({f"CHRONOS_SECRET_{name}": SECRET for name in ("SCRIPT", "N8N_IN", "GITHUB")})
    box.extra.update({"CHRONOS_HTTP_ENABLED": "true", "CHRONOS_HTTP_LISTEN": "127.0.0.1:0"})
    with box.engine(wait=False) as engine:
        ready = engine.until(r"^chronos engine ready pid=\d+ data=\S+ http=(\S+)$")
        yield f"http://{ready[1]}"
        engine.stop()


def sent(box: Box, script: str, url: str, *interpreter: str, **env: str) -> Any:
    """Run commands of the text against the engine that runs here, and return the answer."""
    assert STATED in script or "URL" in script
    command = [*interpreter, script.replace(STATED, url)]
    done = subprocess.run(
        command, env={**box.env, "SECRET": SECRET, **env}, capture_output=True, timeout=TIME_OUT_S, check=True
    )
    return json.loads(done.stdout)


def test_openssl_and_curl_are_all_it_takes(box: Box, url: str) -> None:
    answer = sent(box, block("sh", "openssl"), url, "sh", "-euc")
    assert answer["status"] == "accepted"
    shown = box.ok("outbox", "show", answer["message"], "--json").json
    assert (shown["target"], shown["subject"]) == ("mail", "script: backup.failed")
    refused = subprocess.run(
        ["sh", "-euc", block("sh", "openssl").replace(STATED, url)],
        env={**box.env, "SECRET": "another"}, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(refused.stdout)["status"] == 401
    assert "fits none" in box.ok("source", "show", "script", COLUMNS="200").out


def test_the_python_package_as_the_text_uses_it(box: Box, url: str) -> None:
    script = f"URL, SECRET = {url!r}, {SECRET!r}\n{block('python', 'standardwebhooks')}"
    assert sent(box, script, url, sys.executable, "-c", PYTHONPATH=os.pathsep.join(sys.path))["event_id"] == "event-1"


def test_an_api_key_and_curl(box: Box, url: str) -> None:
    key = box.ok("key", "create", "--name", "cron", "--scope", "send", "--json").json["key"]
    script = block("sh", "$KEY")
    assert sent(box, script, url, "sh", "-euc", KEY=key)["event_id"] == "backup-17"
    assert sent(box, script, url, "sh", "-euc", KEY=key)["status"] == "duplicate"
    assert box.ok("outbox", "show", "1", "--body", "--json").json["content"]["text"] == "disk full"
