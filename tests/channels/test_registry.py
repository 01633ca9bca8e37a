"""The registry: what is there, loaded when asked for and not before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.channels import registry
from engine.channels.options import EmailOptions, MaildirOptions, WebhookOptions
from engine.errors import NotFound
from engine.model import TargetSpec


def python(code: str, path: Path | None = None) -> str:
    """Run `code` in a fresh interpreter that sees the packages in `path` as well; return what it printed."""
    search = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else ""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", search + code], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def install(path: Path, *points: str) -> None:
    """Lay down a distribution whose entry points are `points`, as pip would."""
    info = path / "other-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[chronos.channels]\n" + "\n".join(points) + "\n")
    (path / "pigeon.py").write_text("class T:\n    name = 'pigeon'\nCHANNEL = T()\n")


@pytest.mark.parametrize("name", ["email", "maildir", "webhook"])
def test_the_built_in_channels_answer_to_their_names(name: str) -> None:
    assert registry.channel_type(name).name == name
    assert name in registry.known()


def test_an_installed_channel_is_found(tmp_path: Path) -> None:
    install(tmp_path, "pigeon = pigeon:CHANNEL")
    code = "from engine.channels.registry import *; print(channel_type('pigeon').name, known())"

    assert python(code, tmp_path) == "pigeon ('email', 'maildir', 'pigeon', 'webhook')"


def test_an_installed_channel_cannot_take_the_place_of_a_built_in_or_a_reserved_one(tmp_path: Path) -> None:
    install(tmp_path, "email = pigeon:CHANNEL", "telegram = pigeon:CHANNEL")
    code = (
        "from engine.channels.registry import *\n"
        "print(channel_type('email').name, known())\n"
        "try: channel_type('telegram')\n"
        "except NotFound as error: print(error)\n"
    )

    first, second = python(code, tmp_path).splitlines()
    assert first == "email ('email', 'maildir', 'webhook')"
    assert "not available in this version" in second


@pytest.mark.parametrize("point", ["pigeon = no_such_module:CHANNEL", "pigeon = pigeon:NOTHING"])
def test_an_installed_channel_that_cannot_be_loaded_says_so(tmp_path: Path, point: str) -> None:
    install(tmp_path, point)
    code = (
        "from engine.channels.registry import *\ntry: channel_type('pigeon')\nexcept NotFound as error: print(error)\n"
    )

    assert "cannot be loaded" in python(code, tmp_path)


def test_the_built_in_channels_need_no_metadata() -> None:
    code = (
        "import importlib.metadata\n"
        "importlib.metadata.MetadataPathFinder.find_distributions = classmethod(lambda *a, **k: iter(()))\n"
        "from engine.channels.registry import *\n"
        "print(known(), [channel_type(name).name for name in known()])"
    )

    assert python(code) == "('email', 'maildir', 'webhook') ['email', 'maildir', 'webhook']"


HEAVY = ["requests", "urllib3", "yagmail", "pydantic", "smtplib", "ssl", "email", "keyring", "logging", "certifi"]


@pytest.mark.parametrize(
    "module", ["engine.channels.registry", "engine.channels.headers", "engine.channels.base", "engine.channels.mailbox"]
)
def test_what_a_command_from_cron_imports_stays_light(module: str) -> None:
    loaded = python(f"import {module}, sys; print([name for name in {HEAVY} if name in sys.modules])")

    assert loaded == "[]"


@pytest.mark.parametrize("name", ["email", "maildir", "webhook"])
def test_a_channel_is_loaded_without_the_others_and_without_its_libraries(name: str) -> None:
    others = [f"engine.channels.{other}" for other in ("email", "maildir", "webhook") if other != name]
    code = (
        f"from engine.channels.registry import *; channel_type({name!r}); import sys\n"
        f"print([name for name in {[*HEAVY, *others]} if name in sys.modules])"
    )

    assert python(code) == "[]"


def test_an_unknown_channel_gets_a_suggestion() -> None:
    with pytest.raises(NotFound, match="did you mean webhook"):
        registry.channel_type("webhok")
    with pytest.raises(NotFound, match="there are email, maildir, webhook"):
        registry.channel_type("zzz")


@pytest.mark.parametrize("name", ["telegram", "n8n"])
def test_reserved_names_are_told_apart_from_unknown_ones(name: str) -> None:
    with pytest.raises(NotFound, match="not available in this version"):
        registry.channel_type(name)
    assert registry.options_model(name) is None
    assert name not in registry.known()


# --- options -----------------------------------------------------------------------------------------------------


def test_the_contracts_example_targets_are_valid() -> None:
    assert registry.options_model("email") is EmailOptions
    assert EmailOptions.model_validate({"to": ["me@example.org"]}).to == ["me@example.org"]
    assert EmailOptions.model_validate({"to": "me@example.org", "from": "Box <a@b.de>"}).from_ == "Box <a@b.de>"
    assert MaildirOptions.model_validate({"path": "~/Mail/chronos"}).path == "~/Mail/chronos"
    assert WebhookOptions.model_validate({"url": "http://127.0.0.1:1/x", "secret": "secret:flow"}).method == "POST"


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (EmailOptions, {"to": ["nonsense"]}),
        (EmailOptions, {"to": ["a@b.de"], "form": "a@b.de"}),
        (EmailOptions, {"to": ["a@b.de"], "subject_prefix": "a\nb"}),
        (EmailOptions, {"to": ["a@b.de"], "list_unsubscribe": "javascript:x"}),
        (MaildirOptions, {}),
        (MaildirOptions, {"path": ""}),
        (WebhookOptions, {}),
        (WebhookOptions, {"url": "ftp://a/"}),
        (WebhookOptions, {"url": "https://user:hunter2@a.example/"}),
        (WebhookOptions, {"url": "https://a.example/", "secret": "hunter2"}),
        (WebhookOptions, {"url": "https://a.example/", "method": "GET"}),
    ],
)
def test_options_that_cannot_work_are_refused_without_repeating_them(
    model: type[EmailOptions], given: dict[str, object]
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(given)

    assert "hunter2" not in str(caught.value)


def test_check_sees_what_a_model_cannot() -> None:
    email, webhook = registry.channel_type("email"), registry.channel_type("webhook")

    assert email.check(TargetSpec("me", "email", {"to": ["a@b.de"]}), production=True) == []
    assert "no recipient" in email.check(TargetSpec("me", "email"), production=True)[0]
    assert (
        "Bcc" in email.check(TargetSpec("m", "email", {"to": ["a@b.de"]}, headers=(("Bcc", "x"),)), production=True)[0]
    )
    assert "Host" in webhook.check(TargetSpec("h", "webhook", headers=(("Host", "x"),)), production=True)[0]
