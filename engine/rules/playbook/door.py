"""The playbook's pages about who knocks: keys, signatures, incoming events, the door itself. Text only."""

from __future__ import annotations

from engine.rules.incidents import Kind
from engine.rules.playbook.page import Page

PAGES = (
    Page(
        Kind.AUTH_FAILURES,
        title="Requests that prove nothing",
        subject="the network (a /32 of IPv4, a /64 of IPv6), or the key's id",
        means=(
            "Somebody sends requests with keys that are not accepted, again and again. Nothing was let in. Most "
            "often it is a program of your own with an old, mistyped or expired key; from an address you do not know "
            "it is guessing."
        ),
        check=(
            "'chronos log --channel security --since 1h' shows where the requests come from and why each is refused",
            "'chronos key list' shows which keys are expired or revoked, and from where each was last used",
        ),
        act=(
            "A program of yours: give it a key that holds, 'chronos key create --name NAME --scope send'.",
            "An address you do not know: close the port to it in the firewall, or bind http.listen to loopback.",
            "Bind the keys that remain to the networks they are used from when you make them.",
        ),
        rule=(
            "20 refused keys of one network within 10 minutes, or 5 wrong secrets for one key within 10 minutes. It "
            "counts on while it lasts; you resolve it."
        ),
        source=(
            "OWASP ASVS 4.0.3, 2.2.1 (at most 100 failures an hour) and 5.0, 6.3.1; NIST SP 800-63B, 5.2.2; "
            "fail2ban's default of 5 within 10 minutes"
        ),
    ),
    Page(
        Kind.REVOKED_KEY,
        title="A revoked key was used",
        subject="the key's id",
        means=(
            "Somebody still has a key that you revoked. Nothing was let in. Either a program was forgotten when the "
            "key was replaced, or the key was revoked because it leaked and whoever has it tries it."
        ),
        check=(
            "'chronos key list' shows whose key it was, who made it and from where it was last used",
            "'chronos log --channel security --since 24h' shows where it is tried from now",
            "'chronos audit list --filter action:key' shows when it was revoked and by whom",
        ),
        act=(
            "A forgotten program: give it a new key, 'chronos key create --name NAME --scope send'.",
            (
                "Not yours: treat what held the key (a host, a repository, a backup) as read by others; change what "
                "else was kept there."
            ),
            "Look through what the key did before: 'chronos audit list --filter actor:key:ID'.",
        ),
        rule="One request with the id of a revoked key and a right checksum; its secret is not looked at any more.",
        source=(
            "OWASP ASVS 5.0, 16.3.3; OWASP Secrets Management Cheat Sheet, revocation; own rule: a revoked key is a "
            "tripwire"
        ),
    ),
    Page(
        Kind.KDF_FLOOD,
        title="Secrets are being guessed",
        subject="the network",
        means=(
            "Requests name keys that exist, with secrets that are wrong, faster than anybody types. Whoever sends "
            "them knows the ids of your keys. 256 random bits cannot be guessed; each try costs the box some "
            "processor time, which Chronos bounds, so that requests with good keys go on."
        ),
        check=(
            "'chronos log --channel security --since 1h' shows the addresses and the ids",
            "'chronos key list' shows which keys these ids are, and whether they work as usual",
        ),
        act=(
            "Close the port to these addresses in the firewall, or bind http.listen to loopback.",
            (
                "Replace the keys whose ids are known: 'chronos key rotate ID --overlap 24h', then find out how the "
                "ids became known."
            ),
        ),
        rule=(
            "More than 5 wrong secrets a minute for ids that exist, from one network. Further ones are refused "
            "before the key derivation until a guess is free again."
        ),
        source="NIST SP 800-63B, 5.2.2; OWASP ASVS 5.0, 6.3.1; own rule: 10 000 bogus keys run no key derivation",
    ),
    Page(
        Kind.REPLAY,
        title="An event came twice with another face",
        subject="the source",
        means=(
            "A signature that was good once came again under a new id, or an id that is known came with other "
            "content. Its effect was refused. A sender that merely repeats itself sends the same id and the same "
            "content, which is answered as a duplicate and is no incident. So this is a sender with a defect, or "
            "somebody who has read one of its requests."
        ),
        check=(
            "'chronos source show NAME' shows the source's replays, the last one and from where",
            (
                "'chronos log --channel security --since 24h' shows both addresses; the same as always speaks for a "
                "defect"
            ),
        ),
        act=(
            "The usual address: look into the sender's retries; each event needs an id of its own.",
            (
                "Another address: somebody reads the traffic or the sender's logs. Give the source a new secret "
                "('chronos secret set NAME'), put it into the sender, and use TLS on the way."
            ),
        ),
        rule="One request whose signature is good and whose id or content was seen with another one.",
        source="Standard Webhooks 1.0.0, replay attacks; OWASP ASVS 5.0, 16.3.3; own rule (409 replay)",
    ),
    Page(
        Kind.SIGNATURE_FAILURES,
        title="Events with signatures that are not right",
        subject="the source",
        means=(
            "Requests to a source do not prove who sent them: the secret is another one, the body was changed on the "
            "way, or the clocks differ by more than security.signature_tolerance. Nothing was taken in; the sender "
            "probably repeats."
        ),
        check=(
            (
                "'chronos source list' shows the last reasons: a wrong signature, or a time outside the window and "
                "by how much"
            ),
            "'chronos secret list' shows when the source's secret was last changed",
            "'timedatectl' shows whether this box's clock is synchronised",
        ),
        act=(
            (
                "The secret was changed on one side only: configure both for a while, the source takes a list of "
                "secrets."
            ),
            "A proxy changes the body: let it pass the bytes on as they came.",
            "Clock skew: set the clock that is wrong; do not widen the window.",
            "None of these, from an address you do not know: close the port to it in the firewall.",
        ),
        rule="5 refused requests to one source within 10 minutes. It counts on while it lasts; you resolve it.",
        source="OWASP ASVS 5.0, 16.3.3; Standard Webhooks 1.0.0, signature verification",
    ),
    Page(
        Kind.NOT_MAPPED,
        title="An event could not be made a message",
        subject="the source",
        means=(
            "An event proved who sent it, and its message could not be made: a field that the mapping names is "
            "missing, or its target is not configured any more. The event is kept with its body, and nobody has been "
            "told of it."
        ),
        check=(
            "'chronos source events NAME' lists the kept events and why they have no message",
            "'chronos config check' says whether the source's target is known",
        ),
        act=(
            "Mend the mapping under 'sources:' in the configuration, or the sender.",
            "Then make the message: 'chronos source replay NUMBER'.",
        ),
        rule="One accepted event whose outcome is failed. Settled when every one that failed was replayed.",
        source="own rule: an accepted event is never dropped silently; OWASP ASVS 5.0, 16.3.4",
    ),
    Page(
        Kind.DOOR_CLOSED,
        title="The HTTP door cannot listen",
        subject="the address",
        means=(
            "The engine cannot listen where http.listen says: another program has the port, the socket's directory "
            "is missing, or the certificate cannot be read. Deliveries go on; scripts that use HTTP and incoming "
            "events do not get through."
        ),
        check=(
            "'chronos config show' shows http.listen, http.tls_certificate and http.tls_key",
            "'ss -ltnp' shows which program has the port",
            "'chronos log --since 1h --level WARNING' shows the system's own words",
        ),
        act=(
            "End the other program, or set http.listen to a free address.",
            "A certificate: make it readable for the user that runs Chronos, and renew it where it is over.",
            "The engine tries again every 30 s by itself; the incident ends when it listens.",
        ),
        rule="Listening failed at the start or after a reload. Tried again every 30 s; settled once it listens.",
        source="OWASP ASVS 5.0, 16.3.4; own rule: what is broken stands on the screen, not in a traceback",
    ),
)
