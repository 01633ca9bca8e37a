"""The playbook's pages about this box: files, clock, vault, configuration, audit log, targets. Text only."""

from __future__ import annotations

from engine.rules.incidents import Kind
from engine.rules.playbook.page import Page

PAGES = (
    Page(
        Kind.CLOCK_JUMP,
        title="The clock jumped",
        subject="clock",
        means=(
            "The wall clock moved by itself against the clock that only counts. After a jump forwards, what was to "
            "be sent later leaves at once and times in the log stand ahead; signed events may be refused on either "
            "side. Jumps are usual after a suspend or when a virtual machine is resumed; a forged time is a way to "
            "bring old signatures and expired keys back."
        ),
        check=(
            "'timedatectl' shows whether the clock is synchronised, and with what",
            "'chronos audit list --filter subject:clock' shows when it was set back and by how much",
            "'journalctl -u systemd-timesyncd -u chrony -n 50' shows who set it",
        ),
        act=(
            "Let NTP keep the clock: 'timedatectl set-ntp true'.",
            "If nobody set it: look who may (CAP_SYS_TIME), and at the virtual machine's host.",
            "Then resolve the incident; nothing in Chronos has to be mended.",
        ),
        rule=(
            "Wall and monotonic clock differ by more than 60 s between two looks, one a minute. Each further jump "
            "counts; you resolve it."
        ),
        source="OWASP ASVS 5.0, 16.2.2; NIST SP 800-53, AU-8 (time stamps)",
    ),
    Page(
        Kind.AUDIT_BROKEN,
        title="The audit log is not what was written",
        subject="audit",
        means=(
            "An entry of the audit log was changed, taken out, put in, or the end was cut off. Chronos itself never "
            "does that: its triggers refuse it. Somebody with access to the database file did, or the disk returns "
            "other bytes than were stored. Entries before the first bad one are sound."
        ),
        check=(
            "'chronos audit verify' names the first bad entry",
            (
                "'chronos audit verify --against FILE' compares with an export, a checkpoint or a witness message "
                "you kept"
            ),
            "'chronos doctor' reads the whole database: a damaged disk shows there too",
        ),
        act=(
            (
                "Keep the file as it is for the investigation: 'chronos audit export > audit.jsonl', and a copy of "
                "the data directory taken while the engine is stopped."
            ),
            "Compare with the last witness message in your inbox; what is newer than that is not proven.",
            "Find out who could write the file: its mode, the users of the box, root.",
            "A damaged disk: replace it and restore a backup.",
        ),
        rule=(
            "Any difference between the chain and its entries, its checkpoints or its head, found by the daily "
            "verification, by 'chronos audit verify' or by 'chronos doctor'. Settled when a verification of the "
            "whole log finds none."
        ),
        source="OWASP ASVS 5.0, 16.4.2; NIST SP 800-53, AU-9 (protection of audit information)",
    ),
    Page(
        Kind.PERMISSIONS,
        title="Others may read or change our files",
        subject="the path",
        means=(
            "Another user of this box may read or write a file that Chronos relies on. Who can read the data "
            "directory can read messages and logs; who can read a key file can open the vault; who can write the "
            "configuration decides where messages go."
        ),
        check=(
            "'chronos health' names each path and its mode",
            "'ls -la PATH' shows the owner and the groups",
        ),
        act=(
            "'chronos doctor --fix' takes from group and others what they have in the data directory.",
            "For a file elsewhere: 'chmod go= PATH' ('chmod go-w PATH' for the configuration).",
            (
                "If a key file or the vault was open to others: 'chronos secret rotate-root', then change the "
                "secrets themselves."
            ),
            "Look for what opens them again: a backup script, a umask, an installer.",
        ),
        rule=(
            "Any right of group or others on the data directory, the database with its -wal and -shm, logs, backups "
            "and key files, or a right to write the configuration file or its directory. Looked at every minute; "
            "settled when mended. Critical where others may read a key or change something."
        ),
        source=(
            "OWASP ASVS 5.0, 13.3.2 and 16.4.2; NIST SP 800-53, AC-6 (least privilege); own rule (0700, files 0600)"
        ),
    ),
    Page(
        Kind.ROOT_KEY_MISSING,
        title="The vault cannot be opened",
        subject="the provider of the root key",
        means=(
            "The root key is not where it was put, or its keeper does not answer: a locked keyring, a credential "
            "that the unit does not load, a key file that is gone, a passphrase that nobody gave. Secrets cannot be "
            "read; targets that need one wait, and no checkpoint of the audit log is signed."
        ),
        check=(
            "'chronos secret check' opens every secret and says what is in the way",
            "'chronos health' names the provider of the root key",
        ),
        act=(
            "A locked keyring: unlock the login keyring in this session, or choose another provider.",
            "A credential or key file: put it back from where you keep it.",
            (
                "Gone for good: the recovery kit puts it back, 'chronos secret import-recovery-kit FILE'; without "
                "it, make a new vault and set each secret again."
            ),
        ),
        rule="The root key could not be had in two looks in a row, one a minute. Settled as soon as it is there.",
        source=(
            "OWASP ASVS 5.0, 13.3.1; OWASP Key Management Cheat Sheet; NIST SP 800-57 Part 1 (availability of keys)"
        ),
    ),
    Page(
        Kind.SECRET_UNREADABLE,
        title="A secret cannot be decrypted",
        subject="the secret's name",
        means=(
            "The vault is open, but what is stored under this name is not what was sealed: the row was changed, "
            "swapped with another one or put back from an older copy of the database. Targets that need it fail "
            "until it is set again."
        ),
        check=(
            "'chronos secret check' says of each secret whether it can be opened",
            "'chronos audit list --filter subject:secret:NAME' shows who set it last, and when",
            "'chronos doctor' tells a damaged file from a changed row",
        ),
        act=(
            "Set it again: 'chronos secret set NAME'.",
            (
                "If nobody restored or copied the database: somebody wrote to it. Verify the audit log, 'chronos "
                "audit verify', and change the secret at its other end too."
            ),
        ),
        rule=(
            "The authentication tag of a sealed secret is wrong (AES-256-GCM over vault, name and version). Looked "
            "at once an hour; settled when it opens."
        ),
        source="OWASP ASVS 5.0, 11.3.3 and 13.3.1; own rule: swapping two ciphertexts is detected",
    ),
    Page(
        Kind.CONFIG_TAMPERED,
        title="The configuration changed unnoticed",
        subject="the file's name",
        means=(
            "The configuration file is not what this engine took over. Most often somebody edited it and did not "
            "reload. But who can change this file decides where messages go, so a change that nobody took over is "
            "worth a look: at the next start it is in force."
        ),
        check=(
            "'chronos config check' says whether the file as it stands is valid",
            "'chronos config show --origin' shows the values as they would be, and where each comes from",
            (
                "'chronos audit list --filter action:config' shows when the configuration was last taken over and by "
                "whom"
            ),
            "'ls -l --time-style=full-iso FILE' shows who owns it and when it was changed",
        ),
        act=(
            "It was you: take it over, 'systemctl reload chronos' (or SIGHUP), or start the cockpit's engine again.",
            "It was not you: put your copy back, then look who may write the file and its directory.",
        ),
        rule=(
            "The file differs for 10 minutes from what was taken over and was not reloaded; or at the start its "
            "content is another than was recorded last, although its time of change is older than that record; or "
            "others may write it. Settled when it is taken over, put back, or closed to others."
        ),
        source="NIST SP 800-53, CM-3 and SI-7 (integrity); OWASP ASVS 5.0, 16.3.3",
    ),
    Page(
        Kind.TARGET_MISCONFIGURED,
        title="A target refuses who we are",
        subject="the target, or the server of an ad hoc address",
        means=(
            "The receiver refuses our login or token, or we refuse its certificate. Every message to it would fail "
            "alike, so its breaker is open: messages wait and lose no attempts. A certificate that is suddenly wrong "
            "may also mean that somebody stands in between."
        ),
        check=(
            "'chronos target test NAME' goes as far as the login and shows the receiver's own words",
            "'chronos secret check' says whether the target's secret can be opened",
            "'chronos outbox list --filter target:NAME' shows what waits",
        ),
        act=(
            "A login or token: set the right one, 'chronos secret set NAME', then 'chronos target enable NAME'.",
            "A certificate that is over: renew it on the receiver. One for another name: correct the target's host.",
            "A certificate you do not know: do not switch verification off; find out first who answers there.",
        ),
        rule=(
            "An attempt ended as misconfigured (a refused login, a refused token, a certificate that does not "
            "verify, a secret that is missing). Settled when the target answers again or the operator enables it."
        ),
        source="OWASP ASVS 5.0, 16.3.4; own rule (MISCONFIGURED opens the breaker and an incident)",
    ),
    Page(
        Kind.TARGET_DISABLED,
        title="A receiver said never again",
        subject="the target, or the server of an ad hoc address",
        means=(
            "The receiver answered that this address is gone for good (HTTP 410). Nothing is sent to it any more; "
            "the message that was refused is dead, and further ones wait."
        ),
        check=(
            "'chronos target list' shows the receiver's words",
            "'chronos outbox list --filter target:NAME' shows what waits, and 'chronos outbox explain ID' why",
        ),
        act=(
            "It moved: correct the target's url, then 'chronos target enable NAME'.",
            (
                "It is not wanted any more: cancel what waits, 'chronos outbox cancel --filter target:NAME', and "
                "take the target out of the configuration."
            ),
        ),
        rule="One answer 410 Gone. Settled when the operator enables the target.",
        source="Standard Webhooks 1.0.0 (410 disables an endpoint); own rule (disable_target)",
    ),
)
