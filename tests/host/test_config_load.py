"""The configuration as a whole: what is accepted, and how every mistake is named."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engine.channels.registry import options_model
from engine.errors import ConfigError
from engine.host.config.checks import references, warnings
from engine.host.config.load import load
from engine.host.paths import paths
from engine.model import OnUncertain, Rate, RetryPolicy, RouteStep, Settings

CONTRACT = """\
environment: production
database:   {url: "sqlite:///chronos.db", max_connections: 20, busy_timeout: 5s, backup_enabled: true}
security:   {require_https: true, rate_limit_per_hour: 1000, encryption_enabled: true, pbkdf2_iterations: 600000, \
signature_tolerance: 5m}
logging:    {level: INFO, file_enabled: true, retention: 14d}
http:       {enabled: true, listen: "127.0.0.1:8467"}
smtp:       {host: smtp.example.org, port: 587, tls: starttls, username: ops, password: "secret:smtp", \
from: "Box <ops@example.org>"}
telegram:   {token: "secret:telegram", allowed_chats: [123456], commands: true, api_base: "https://api.telegram.org"}
targets:
  me:       {channel: email, to: [me@example.org]}
  ops:      {channel: telegram, chat_id: 123456}
  flow:     {channel: n8n, url: "http://127.0.0.1:5678/webhook/abc", secret: "secret:flow"}
  archive:  {channel: maildir, path: "~/Mail/chronos"}
routes:
  alerts:   [ops, {after: 15m, to: me}]
sources:
  n8n:      {verify: standard-webhooks, secret: "secret:n8n-in", deliver: {target: ops, template: n8n-event}}
schedules:
  weekly:   {cron: "0 9 * * MON", timezone: Europe/Berlin, send: {target: me, template: weekly}, catch_up: once}
backup:     {schedule: "0 3 * * *", directory: backups, keep: {hourly: 24, daily: 7, weekly: 4, monthly: 6}, \
encrypt_to: null, copy_to: [], drill: true}
monitoring: {interval: 15s, alert_route: alerts, disk_free_warning: 10%, disk_free_critical: 5%}
"""
CANARY = "hunter2canary"

Load = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """Write the text, if any, and load it."""

    def go(text: str | None = None, env: Mapping[str, str] | None = None) -> Settings:
        if text is not None:
            (tmp_path / "config.yaml").write_text(text)
            (tmp_path / "config.yaml").chmod(0o600)
        named = str(tmp_path / "config.yaml") if text is not None else None
        found = paths(str(tmp_path), named, {"HOME": "/nowhere"})
        return load(found, env or {}, options_model, hostname="box.example.org")

    return go


@pytest.fixture
def refused(read: Load) -> Callable[..., list[str]]:
    def go(text: str | None = None, env: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            read(text, env)
        assert all("\n" not in problem for problem in caught.value.problems)
        return caught.value.problems

    return go


def test_the_contracts_example_is_accepted_as_it_stands(read: Load) -> None:
    settings = read(CONTRACT)
    assert settings.production
    assert settings.database["busy_timeout_ms"] == 5_000
    assert settings.logging["retention_ms"] == 14 * 86_400_000
    assert settings.smtp["from"] == "Box <ops@example.org>"
    assert settings.smtp["password"] == "secret:smtp"
    assert settings.routes["alerts"] == (RouteStep("ops"), RouteStep("me", 900_000))
    assert settings.targets["flow"].options["secret"] == "secret:flow"
    kept = {"hourly": 24, "daily": 7, "weekly": 4, "monthly": 6, "yearly": 0, "within_ms": 0}
    assert settings.backup["keep"] == kept
    assert settings.schedules["weekly"]["send"] == {"target": "me", "template": "weekly"}
    assert references(settings) == ["secret:flow", "secret:n8n-in", "secret:smtp", "secret:telegram"]


def test_channels_of_a_later_version_are_accepted_with_a_warning(read: Load) -> None:
    lines = warnings(read(CONTRACT))
    assert "targets.ops: channel telegram: not available in this version; messages to it are refused" in lines
    assert any(line.startswith("targets.flow: channel n8n: not available") for line in lines)


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "smtp:\n", "---\n...\n"])
def test_nothing_configured_means_every_default(read: Load, text: str | None) -> None:
    settings = read(text)
    assert settings.environment == "development"
    assert settings.instance == "box.example.org"
    assert settings.http == {
        "enabled": True,
        "listen": "127.0.0.1:8467",
        "max_body_bytes": 10 * 1024 * 1024,
        "tls_certificate": None,
        "tls_key": None,
        "trusted_proxies": [],
    }
    assert settings.outbox["senders"] == 32
    assert settings.smtp["from"] == "chronos@box.example.org"
    assert not settings.targets


def test_a_misspelt_key_is_named_with_line_and_suggestion(refused: Callable[..., list[str]]) -> None:
    assert refused("# a\nsecurity:\n  requre_https: true\n") == [
        "config.yaml:3: security.requre_https: unknown key; did you mean require_https?"
    ]
    assert refused("securty: {}\n") == ["config.yaml:1: securty: unknown key; did you mean security?"]


def test_all_problems_come_at_once_and_in_the_files_order(refused: Callable[..., list[str]]) -> None:
    problems = refused(
        "environment: prod\n"
        "database: {max_connections: many, busy_timeout: 5}\n"
        "database: {}\n"
        "targets:\n"
        "  me: {channel: email, too: [a@example.org], rate: fast}\n"
        "  hook: {channel: webhok}\n"
        "routes:\n"
        "  alerts: [mee]\n",
        {"CHRONOS_SMTP_PORT": "x", "CHRONOS_SMPT_HOST": "x"},
    )
    for part in (
        "config.yaml:1: environment: must be one of development, production",
        "config.yaml:2: database.max_connections: must be a whole number",
        "config.yaml:2: database.busy_timeout: must be a duration",
        "config.yaml:3: database: stands here again, first in line 2",
        "config.yaml:5: targets.me.too: unknown key; did you mean to?",
        "config.yaml:5: targets.me.rate: 'fast' is not a rate",
        "config.yaml:6: targets.hook.channel: channel 'webhok': no such channel; did you mean webhook?",
        "config.yaml:8: routes.alerts.0: unknown target mee; did you mean me?",
        "CHRONOS_SMTP_PORT: must be a whole number",
        "CHRONOS_SMPT_HOST: unknown variable; did you mean CHRONOS_SMTP_HOST?",
    ):
        assert any(problem.startswith(part) for problem in problems), (part, problems)
    numbers = [int(problem.split(":")[1]) for problem in problems if problem.startswith("config.yaml:")]
    assert numbers[1:] == sorted(numbers[1:])


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", '"true"', "1"])
def test_a_boolean_of_yaml_1_1_is_refused_instead_of_guessed(refused: Callable[..., list[str]], word: str) -> None:
    (problem,) = refused(f"http:\n  enabled: {word}\n")
    assert problem.startswith("config.yaml:2: http.enabled: must be true or false")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f"smtp: {{password: {CANARY}}}", "smtp.password"),
        (f"telegram: {{token: {CANARY}}}", "telegram.token"),
        (f"targets: {{hook: {{channel: webhook, url: 'https://x.example', secret: {CANARY}}}}}", "targets.hook.secret"),
        (f"targets: {{flow: {{channel: n8n, secret: {CANARY}}}}}", "targets.flow.secret"),
        (f"targets: {{flow: {{channel: n8n, api_token: [{CANARY}]}}}}", "targets.flow.api_token"),
        (f"sources: {{s: {{verify: hmac, secret: {CANARY}, deliver: {{}}}}}}", "sources.s.secret"),
    ],
)
@pytest.mark.parametrize("environment", ["development", "production"])
def test_a_secret_in_the_file_is_refused_and_never_repeated(
    refused: Callable[..., list[str]], text: str, where: str, environment: str
) -> None:
    problems = refused(f"environment: {environment}\n{text}\n")
    assert CANARY not in " ".join(problems)
    name = {"smtp.password": "smtp", "telegram.token": "telegram"}.get(where, where.split(".")[1])
    (problem,) = [problem for problem in problems if where in problem]
    assert f'"secret:{name}" and set CHRONOS_SECRET_{name.upper()}' in problem


@pytest.mark.parametrize(
    "text",
    [
        f"smtp: {{password: *{CANARY}}}",
        f"smtp: {{password: !{CANARY}!x}}",
        f"smtp: {{password: !{CANARY} x}}",
        f"smtp:\n  password: !{CANARY}!x y",
        f"smtp: {{password: [{CANARY}, 2}}",
        f"smtp: {{password: '{CANARY}",
        f'smtp: {{password: "\\q{CANARY}"}}',
        f"smtp:\n  password: {CANARY}: x",
        f"smtp:\n  password: |{CANARY}",
        f"smtp: {{pasword: {CANARY}}}",
        f"smtp: {{password: {{a: {CANARY}}}}}",
        f"smtp: {CANARY}",
        f"targets: {{x: {{channel: email, headers: {{A: ['{CANARY}']}}}}}}",
    ],
)
def test_no_mistake_makes_a_password_appear_in_an_error(read: Load, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_production_refuses_what_development_warns_of(read: Load, refused: Callable[..., list[str]]) -> None:
    text = (
        "security: {require_https: false, allow_private_targets: true, encryption_enabled: false, "
        "pbkdf2_iterations: 100000}\nsmtp: {host: mail.example.org, tls: none}\ndemo: {sink: true}\n"
    )
    warned = warnings(read(text))
    problems = refused("environment: production\n" + text)
    keys = [
        "require_https",
        "allow_private_targets",
        "encryption_enabled",
        "pbkdf2_iterations",
        "smtp.tls",
        "demo.sink",
    ]
    for key in keys:
        assert any(key in line for line in warned), key
        assert any(key in line and line.startswith("config.yaml:") for line in problems), key
    assert len(problems) == len(keys)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "mail.localhost"])
def test_a_relay_on_this_machine_needs_no_tls(read: Load, host: str) -> None:
    assert read(f"environment: production\nsmtp: {{host: '{host}', tls: none}}\n").smtp["tls"] == "none"


@pytest.mark.parametrize("host", ["localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "2130706433"])
def test_a_host_that_only_looks_local_does(refused: Callable[..., list[str]], host: str) -> None:
    assert "smtp.tls" in refused(f"environment: production\nsmtp: {{host: '{host}', tls: none}}\n")[0]


def test_defaults_hold_for_targets_that_do_not_say_otherwise(read: Load) -> None:
    settings = read(
        "defaults: {retry: {first: 1s, attempts: 3}, rate: 20/m, timeout: 5s, breaker: false, on_uncertain: ask,"
        " headers: {X-Box: a, X-All: b}}\n"
        "targets:\n"
        "  one: {channel: maildir, path: m}\n"
        "  two: {channel: maildir, path: m, retry: {attempts: 9}, rate: none, breaker: true, headers: {x-box: c},"
        " order_blocked_by: [dead]}\n"
    )
    one, two = settings.targets["one"], settings.targets["two"]
    assert one.retry == RetryPolicy(first_ms=1_000, attempts=3)
    assert (one.rate, one.timeout_ms, one.breaker) == (Rate(20, 60_000), 5_000, False)
    assert one.on_uncertain is OnUncertain.ASK
    assert one.lane == "one"
    assert two.retry == RetryPolicy(first_ms=1_000, attempts=9)
    assert (two.rate, two.timeout_ms, two.breaker) == (None, 5_000, True)
    assert two.headers == (("x-box", "c"), ("X-All", "b"))
    assert two.order_blocked_by == ("dead",)


@pytest.mark.parametrize(
    ("routes", "words"),
    [
        ("{a: []}", "must be a list of targets"),
        ("{a: me}", "must be a list of targets"),
        ("{a: [me, arch]}", "each step needs a later after"),
        ("{a: [me, {after: 5m, to: arch}, {after: 5m, to: me}]}", "each step needs a later after"),
        ("{a: [{after: 5m, to: me}]}", "the first step starts at once"),
        ("{me: [arch]}", "a target has this name too"),
        ("{a: [{after: 5m}]}", "routes.a.0.to: is missing"),
        ("{a: [nobody]}", "unknown target nobody"),
        ("{'A B': [me]}", "a name has only a-z"),
    ],
)
def test_a_route_that_cannot_work_is_refused(refused: Callable[..., list[str]], routes: str, words: str) -> None:
    targets = "targets: {me: {channel: maildir, path: a}, arch: {channel: maildir, path: b}}\n"
    problems = refused(targets + f"routes: {routes}\n")
    assert any(words in problem and problem.startswith("config.yaml:2:") for problem in problems), problems


def test_a_route_to_a_target_with_a_mistake_does_not_call_it_unknown(refused: Callable[..., list[str]]) -> None:
    problems = refused("targets: {me: {channel: email, timeout: 1}}\nroutes: {a: [me]}\n")
    assert not any("unknown target" in problem for problem in problems)


def test_references_between_sections_are_checked(refused: Callable[..., list[str]]) -> None:
    problems = refused(
        "monitoring: {alert_route: alrts}\nroutes: {alerts: [me]}\ntargets: {me: {channel: maildir, path: x}}\n"
        "schedules: {w: {cron: '* * * * *', send: {target: mee}}}\nsources: {s: {verify: api-key, deliver: {}}}\n"
    )
    assert "config.yaml:1: monitoring.alert_route: unknown route or target alrts; did you mean alerts?" in problems
    assert "config.yaml:4: schedules.w.send.target: unknown target or route mee; did you mean me?" in problems
    assert any("sources.s.deliver: needs target" in problem for problem in problems)


@pytest.mark.parametrize(
    "line",
    [
        "outbox: {senders: 129}",
        "outbox: {senders: 0}",
        "smtp: {port: 70000}",
        "smtp: {from: nobody}",
        'smtp: {host: "a\\r\\nb"}',
        "logging: {level: LOUD}",
        "http: {listen: 'everywhere'}",
        "http: {listen: '127.0.0.1:99999'}",
        "http: {max_body: 10 parsecs}",
        "security: {signature_tolerance: 5y}",
        "security: {pbkdf2_iterations: 1}",
        "monitoring: {disk_free_warning: 10}",
        "defaults: {retry: {jitter: 2}}",
        "defaults: {headers: {'X Y': a}}",
        'defaults: {headers: {X: "a\\nBcc: b"}}',
        "database: {url: 'postgresql:///x'}",
        "instance: 12",
        "instance: 'a b'",
        "smtp: [a]",
        "targets: [a]",
        "targets: {me: email}",
        "targets: {me: {}}",
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_line(refused: Callable[..., list[str]], line: str) -> None:
    problems = refused(f"\n{line}\n")
    assert problems[0].startswith("config.yaml:2: "), problems


@pytest.mark.parametrize("value", ["unix:/run/chronos.sock", "/run/chronos.sock", "[::1]:80", "localhost:0"])
def test_listen_takes_addresses_and_sockets(read: Load, value: str) -> None:
    assert read(f"http: {{listen: '{value}'}}").http["listen"] == value


@pytest.mark.parametrize(
    ("host", "instance"), [("box", "box"), ("my_box.lan", "my-box.lan"), ("-ä-", "localhost"), ("x" * 80, "x" * 63)]
)
def test_the_instance_is_made_from_the_host_name(tmp_path: Path, host: str, instance: str) -> None:
    found = paths(str(tmp_path), None, {"HOME": "/nowhere"})
    assert load(found, {}, options_model, hostname=host).instance == instance


def test_a_file_that_others_can_change_is_refused(
    refused: Callable[..., list[str]], tmp_path: Path, read: Load
) -> None:
    read("")
    (tmp_path / "config.yaml").chmod(0o666)
    assert "chmod go-w" in refused()[0]
    (tmp_path / "config.yaml").chmod(0o644)
    read()


def test_group_writable_is_accepted_only_for_the_owners_own_group(
    tmp_path: Path, read: Load, refused: Callable[..., list[str]]
) -> None:
    read("")
    file = tmp_path / "config.yaml"
    file.chmod(0o664)
    if file.stat().st_uid == file.stat().st_gid:
        read()
    if os.geteuid() == 0:
        os.chown(file, 0, 4711)
        assert "chmod go-w" in refused()[0]


def test_origin_names_file_line_variable_or_default(read: Load) -> None:
    settings = read("smtp:\n  host: a\n  port: 25\n", {"CHRONOS_SMTP_PORT": "26"})
    assert settings.origin["smtp.host"] == "file:2"
    assert settings.origin["smtp.port"] == "environment:CHRONOS_SMTP_PORT"
    assert settings.origin["smtp.tls"] == "default"


def test_e_mail_without_a_server_and_plain_http_are_warned_of(read: Load) -> None:
    lines = warnings(
        read(
            "targets: {me: {channel: email, to: [a@example.org]}, w: {channel: webhook, url: 'http://10.0.0.9/x'}, "
            "l: {channel: webhook, url: 'http://127.0.0.1/x', headers: {Authorization: x}}}"
        )
    )
    assert any(line.startswith("smtp.host: not set") for line in lines)
    assert any(line.startswith("targets.w.url: http://") for line in lines)
    assert not any(line.startswith("targets.l.url") for line in lines)
    assert any(line.startswith("targets.l.headers") for line in lines)


def test_a_secrets_file_that_others_can_read_is_warned_of(read: Load, tmp_path: Path) -> None:
    file = tmp_path / "s"
    file.write_text("x")
    file.chmod(0o644)
    settings = read("smtp: {password: 'secret:smtp'}")
    assert any("chmod 600" in line for line in warnings(settings, {"CHRONOS_SECRET_SMTP_FILE": str(file)}))


def test_a_misspelt_channel_is_named(read: Load) -> None:
    with pytest.raises(ConfigError) as refused:
        read("targets:\n  me: {chanel: maildir, path: m}\n")
    assert "config.yaml:2: targets.me.chanel: unknown key; did you mean channel?" in refused.value.problems


def test_a_configuration_file_that_was_named_has_to_exist(tmp_path: Path) -> None:
    named = paths(str(tmp_path), str(tmp_path / "typo.yaml"), {"HOME": "/nowhere"})
    with pytest.raises(ConfigError, match=r"typo\.yaml: there is no such file"):
        load(named, {}, options_model, hostname="box.example.org")
    assert load(paths(str(tmp_path), None, {"HOME": "/nowhere"}), {}, options_model, hostname="box.example.org")
