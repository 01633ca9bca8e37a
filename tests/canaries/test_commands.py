"""Canaries through the commands: what is stored, mistyped, given at the wrong place, refused, exported, debugged."""

from __future__ import annotations

from pathlib import Path

from tests.canaries import planted
from tests.canaries.planted import made
from tests.canaries.rig import Evidence
from tests.tui.pty import Terminal

TARGETS = """\
targets:
  box: {channel: maildir, path: mail}
  hook: {channel: webhook, url: "http://127.0.0.1:9/", secret: "secret:hook", headers: {Authorization: "secret:bearer"}}
  filed: {channel: webhook, url: "http://127.0.0.1:9/", secret: "secret:filed"}
  named: {channel: webhook, url: "http://127.0.0.1:9/", secret: "secret:named"}
smtp: {host: 127.0.0.1, port: 9, tls: none, username: ops, password: "secret:smtp", from: ops@example.org}
telegram: {token: "secret:telegram"}
"""
OWN_WORDS = "own cmdline"
"""Whoever gives a secret as a word of a command shows it to everybody; what is ours is not to repeat it."""

OWN_ENV = "own environ"
"""Who sets a variable has it in the environment of the process that it is for; no child of that process may."""

IN_CONFIG = "data/config.yaml"
"""Who writes a secret into the configuration has it there."""


def private(path: Path, data: str | bytes) -> str:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    path.chmod(0o600)
    return str(path)


def test_nothing_that_commands_were_told_stands_anywhere(evidence: Evidence) -> None:
    _vault(evidence)
    evidence.box.configure(TARGETS)
    _environment(evidence)
    _words(evidence)
    _configuration(evidence)
    _terminal(evidence)
    evidence.box.configure(TARGETS)
    evidence.everything()
    evidence.keep_files("at the end", evidence.box.home / "kit")
    assert evidence.hits() == []


def _vault(evidence: Evidence) -> None:
    """Stored, refused, locked, rotated, exported and brought back."""
    home = evidence.box.home
    right = {"CHRONOS_PASSPHRASE_FILE": private(home / "right", evidence.plant(planted.PASSPHRASE) + "\n")}
    wrong = {"CHRONOS_PASSPHRASE_FILE": private(home / "wrong", evidence.plant(planted.WRONG_PASSPHRASE))}
    evidence.ok("init", "--root-key", "passphrase", **right)
    for name, canary in planted.VAULT.items():
        # One terminal's worth of scrypt is enough to see that the passphrase stays inside; the rest goes by the file.
        if name == "smtp":
            evidence.ok("secret", "set", name, stdin=evidence.plant(canary), CHRONOS_DEBUG="1", **right)
            assert evidence.chronos("secret", "set", name, stdin=canary.text, CHRONOS_DEBUG="1", **wrong).code == 75
            assert evidence.chronos("secret", "check", CHRONOS_DEBUG="1", **wrong).code == 3
            evidence.ok("secret", "rotate-root", "--to", "file", **right)
            _root_key(evidence)
        else:
            evidence.ok("secret", "set", name, stdin=evidence.plant(canary))
    for canary in (planted.TOO_LONG, planted.WITH_NUL):
        assert evidence.chronos("secret", "set", "refused", stdin=evidence.plant(canary), CHRONOS_DEBUG="1").code == 2
    latin = evidence.plant(planted.CRASHED).encode() + b"\xff"
    assert evidence.chronos("secret", "set", "refused", stdin=latin, CHRONOS_DEBUG="1").code == 2
    _kit(evidence)
    evidence.ok("secret", "rotate-root")
    _root_key(evidence)


def _root_key(evidence: Evidence) -> None:
    """The root key's file is where it is meant to lie."""
    data = (evidence.box.data_dir / "root.key").read_bytes().strip()
    raw = bytes.fromhex(data.decode()) if len(data) == 64 else data
    evidence.plant(made(f"root key {raw[:2].hex()}", raw.hex(), raw, data), "data/root.key")


def _kit(evidence: Evidence) -> None:
    """The passphrase of a kit is shown once, where it is made."""
    folder = evidence.box.home / "kit"
    folder.mkdir()
    kit = str(folder / "kit.txt")
    passphrase = evidence.box.ok("secret", "export-recovery-kit", kit, "--json").json["passphrase"]
    evidence.plant(made("recovery kit", passphrase, passphrase.replace("-", "").encode()))
    assert evidence.chronos("secret", "import-recovery-kit", kit, stdin=passphrase[:-1] + "0", CHRONOS_DEBUG="1").code
    (evidence.box.data_dir / "root.key").unlink()
    evidence.ok("secret", "import-recovery-kit", kit, stdin=passphrase)
    torn = private(folder / "torn.txt", (folder / "kit.txt").read_text().replace("=", "?", 1)[:-30])
    assert evidence.chronos("secret", "import-recovery-kit", torn, stdin=passphrase, CHRONOS_DEBUG="1").code


def _environment(evidence: Evidence) -> None:
    """By variable and by file, good ones and bad ones."""
    home = evidence.box.home
    given = {
        "CHRONOS_SECRET_NAMED": evidence.plant(planted.BY_VARIABLE, OWN_ENV),
        "CHRONOS_SECRET_FILED_FILE": private(home / "filed", evidence.plant(planted.BY_FILE)),
    }
    evidence.everything(**given)
    for target in ("hook", "filed", "named"):
        evidence.chronos("target", "test", target, CHRONOS_DEBUG="1", **given)
    latin = private(home / "latin", planted.BY_FILE.text.encode() + b"\xff")
    open_to_all = home / "open"
    open_to_all.write_text(planted.BY_FILE.text)
    open_to_all.chmod(0o666)
    for path in (latin, str(open_to_all)):
        bad = {"CHRONOS_SECRET_FILED_FILE": path, "CHRONOS_DEBUG": "1"}
        assert evidence.chronos("secret", "check", **bad).code == 3
        assert evidence.chronos("target", "test", "filed", **bad).code
    for name, canary in {
        "CHRONOS_SMTP_PASSWORD": planted.IN_VARIABLE,
        "CHRONOS_TARGETS_X": planted.IN_TARGET_VARIABLE,
        "CHRONOS_SMTP_PASWORD": planted.IN_UNKNOWN_VARIABLE,
    }.items():
        text = evidence.plant(canary, OWN_ENV)
        value = f"{{channel: webhook, url: 'http://127.0.0.1:9/', secret: '{text}'}}" if name.endswith("_X") else text
        for words in (("config", "check"), ("config", "show"), ("status",), ("secret", "set", "x")):
            assert evidence.chronos(*words, CHRONOS_DEBUG="1", **{name: value}).code in {3, 78}


def _words(evidence: Evidence) -> None:
    """A secret as a word of a command is the operator's mistake. Not one of these may say it once more."""
    word = evidence.plant(planted.AS_WORD, OWN_WORDS)
    option = evidence.plant(planted.AS_OPTION, OWN_WORDS)
    for words in (
        ("secret", "set", "smtp", word),
        ("secret", "set", word),
        ("secret", "set", "smtp", f"--value={option}"),
        ("secret", "set", f"--smtp={option}"),
        ("secret", "set", "smtp", "--value", option),
        ("secret", "delete", word),
        ("secret", "import-recovery-kit", "kit.txt", word),
        ("secret", "rotate-root", "--to", option),
        ("secret", "rotate-root", "--passphrase", option),
        ("secret", "check", option),
        ("secret", option),
        ("secert", "set", "smtp", word),
        ("init", "--root-key", option),
        ("init", f"--passphrase={option}"),
        ("key", "create", "--name", "x", "--key", option),
        ("key", "revoke", evidence.plant(planted.BOGUS_KEY, OWN_WORDS)),
        ("key", "rotate", planted.BOGUS_KEY.text),
        ("send", f"https://ops:{evidence.plant(planted.USERINFO, OWN_WORDS)}@example.org/", "--text", "x"),
        ("target", "test", f"https://ops:{planted.USERINFO.text}@example.org/"),
        ("config", "set", "smtp.password", evidence.plant(planted.CONFIG_SET, OWN_WORDS)),
        ("config", "set", "targets.hook.secret", planted.CONFIG_SET.text),
    ):
        done = evidence.chronos(*words, CHRONOS_DEBUG="1")
        assert done.code, (words, done)


def _configuration(evidence: Evidence) -> None:
    """A secret where a reference belongs. The file is the operator's; what reads it keeps its mouth shut."""
    for canary, text in {
        planted.CONFIG_SMTP: "smtp: {{host: mail.example.org, username: ops, password: '{}'}}",
        planted.CONFIG_TARGET: "targets: {{hook: {{channel: webhook, url: 'https://example.org', secret: '{}'}}}}",
        planted.CONFIG_SOURCE: "sources: {{x: {{verify: github, secret: [secret:a, '{}'], deliver: {{target: box}}}}}}",
        planted.CONFIG_UNKNOWN: "smtp: {{host: mail.example.org, pasword: '{}'}}",
    }.items():
        value = evidence.plant(canary, IN_CONFIG)
        for broken in (text.format(value), text.format(value)[:-1], f'smtp:\n  password: "{value}'):
            evidence.box.configure(broken + "\n")
            for words in (("config", "check"), ("status",)):
                assert evidence.chronos(*words, CHRONOS_DEBUG="1").code in {3, 78}, broken
    folder = evidence.box.home
    body = f"-----BEGIN PRIVATE KEY-----\n{evidence.plant(planted.TLS_KEY)}\n-----END PRIVATE KEY-----\n"
    pem = private(folder / "tls.pem", body)
    evidence.box.configure(f"http: {{listen: '0.0.0.0:0', tls_certificate: '{pem}'}}\n")
    assert evidence.chronos("config", "check", CHRONOS_HTTP_ENABLED="true", CHRONOS_DEBUG="1").code == 3


def _terminal(evidence: Evidence) -> None:
    """Typed unseen, twice and not the same."""
    box = evidence.box
    box.configure(TARGETS)
    with Terminal(box.command("secret", "set", "typed"), env=box.env, cwd=box.home, columns=200) as terminal:
        terminal.wait_for("value of typed:")
        terminal.send(evidence.plant(planted.MISTYPED) + "\r")
        terminal.wait_for("once more:")
        terminal.send(planted.MISTYPED.text + "x\r")
        assert terminal.wait_exit() == 2
        evidence.note("terminal of secret set", bytes(terminal.raw))
