"""Hand-made documents of the gate, for tests of its formats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

from auditor import catalogue
from auditor.model.words import Severity
from auditor.report.plain import Document, present

FILE = "inventories/example/hosts.yaml"
KINDS = {
    "added": "A service is declared that was not.",
    "widened": "A service is declared to more source ranges.",
    "removed": "A service is no longer declared.",
    "narrowed": "A service is declared to fewer source ranges.",
    "weakened": "The change makes audits look at less.",
    "policy-breach": "Something is declared against the policy.",
}


def change(  # one finding of a gate, as its document has it
    kind: str,
    severity: Severity = Severity.OPERATIONAL_DRIFT,
    *,
    host: str | None = "db-1",
    service: str | None = "postgres",
    endpoints: Sequence[tuple[str, str, str]] = (("203.0.113.12", "tcp", "5432"),),
    gained: Sequence[str] = (),
    lost: Sequence[str] = (),
    at: tuple[str, int] | None = (FILE, 12),
    why: str = "It says why.",
    **more: Any,
) -> Document:
    name = f"{kind} {host} {service} {more.get('rule', '')}"
    rows = [
        {"address": address, "protocol": protocol, "ports": ports, "gained": list(gained), "lost": list(lost)}
        for address, protocol, ports in endpoints
    ]
    return present(
        **{
            "fingerprint": f"v1:{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}",
            "kind": kind,
            "severity": severity.value,
            "rank": severity.rank,
            "also": [],
            "why": why,
            "host": host,
            "service": service,
            "sources": None if kind == "weakened" else {"gained": list(gained), "lost": list(lost)},
            "declared_at": {"file": at[0], "line": at[1]} if at else None,
            "endpoints": rows,
            "playbook": {"id": "too-open", "values": {"host": host or "", "service": service or ""}},
            **more,
        }
    )


def gate(
    *findings: Document,
    waived: Sequence[Document] = (),
    fail_on: str = "internal-recon",
    result: str | None = None,
    files: Sequence[str] = (FILE,),
) -> Document:
    """The document of a gate with these findings."""
    worst = Severity(fail_on).rank if fail_on in set(Severity) else 0
    failing = any(
        each["rank"] <= worst and each["kind"] in ("added", "widened", "weakened", "policy-breach") for each in findings
    )
    verdict = result or ("fail" if failing else "pass")
    side = {
        "path": "inventories/example",
        "name": "example-estate",
        "files": [{"path": path, "sha256": sha256(b"hosts").hexdigest()} for path in files],
    }
    kinds = sorted({each["kind"] for each in (*findings, *waived)})
    return {
        "schema": "auditor/gate/v1",
        "gate": {"auditor_version": "0.1.0", "date": "2026-11-22", "base": side, "head": side},
        "verdict": {"result": verdict, "fail_on": [fail_on], "exit_code": int(verdict == "fail")},
        "summary": {
            "findings": len(findings),
            "waived": len(waived),
            "by_kind": _count(findings, "kind"),
            "by_severity": _count(findings, "severity"),
            "by_class": _count(findings, "class"),
            "by_host": _count(findings, "host"),
        },
        "findings": sorted(findings, key=lambda each: (each["rank"], each["kind"], each["fingerprint"])),
        "waived": list(waived),
        "kinds": {kind: KINDS[kind] for kind in kinds},
        "playbooks": {"too-open": dict(catalogue.playbooks()["too-open"])},
    }


def _count(findings: Sequence[Document], key: str) -> dict[str, int]:
    return dict(sorted(Counter(each[key] for each in findings if key in each).items()))


OPENED = change(
    "added",
    Severity.DIRECT_COMPROMISE,
    gained=("0.0.0.0/0", "::/0"),
    why="postgres on 5432/tcp (data-store) would be declared to an untrusted range.",
    owner="team-data",
    **{"class": "data-store", "also": ["data-exposure"]},
)
SITE = change(
    "added",
    service="https",
    host="web-2",
    endpoints=(("203.0.113.20", "tcp", "443"), ("2001:db8:1::20", "tcp", "443")),
    gained=("0.0.0.0/0", "::/0"),
    why="https (public-web) would be declared to the internet, as public sites are.",
    at=(FILE, 40),
    **{"class": "public-web"},
)
NARROWED = change(
    "narrowed",
    service="ssh",
    host="web-1",
    endpoints=(("203.0.113.10", "tcp", "22"),),
    lost=("10.20.1.0/25", "10.20.1.192/26"),
    why="ssh would be declared to fewer.",
    at=(FILE, 21),
)
WEAKENED = change(
    "weakened",
    Severity.INTERNAL_RECON,
    host=None,
    service=None,
    endpoints=(),
    rule="viewpoints.public.boundary",
    why="The boundary was filtered and is any: closed ports would no longer be a leak.",
    at=("inventories/example/viewpoints.yaml", 9),
)
WAIVER = {
    "match": {"host": ["web-1"]},
    "reason": "partner migration",
    "owner": "team-web",
    "ticket": "NET-123",
    "since": "2026-10-02",
    "expires": "2026-12-31",
}
WAIVED = change(
    "widened",
    Severity.CONTROL_BYPASS,
    host="web-1",
    service="app",
    endpoints=(("203.0.113.10", "tcp", "8080"),),
    gained=("198.51.100.0/24",),
    why="app stands behind https and would be declared to an untrusted range.",
    at=(FILE, 30),
    waiver=WAIVER,
)
REMOVED = change(
    "removed", service="ftp", host="web-1", at=None, lost=("10.0.0.0/8",), why="ftp is no longer declared."
)


def busy_gate() -> Document:
    """One change of every kind, of which two fail."""
    return gate(OPENED, SITE, NARROWED, WEAKENED, REMOVED, waived=[WAIVED])


HOSTILE = (
    "a|b`c<img src=x>&amp; [x](javascript:1) **b** _i_ ~~s~~ \\| @octocat #1 !2 $x$",
    "https://evil.example www.evil.example mailto:a@evil.example WWW.evil.example FTP://x.y",
    "::set-output name=x::1\n::error::owned\r\n##[set-env name=A]b",
    "%0A::stop-commands::x%0D",
    "]]><script>alert(1)</script><![CDATA[ <!-- --> &#0; &lol;",
    "nul\x00bel\x07esc\x1b[2J\x0b\x0c\x85\u2028",
    "admin\u202etxt\u2066\u200b\ufeff",
    "half \ud83d pair \udcff \ufffe\uffff",
    "four 🙂 𝕏 {0} {{1}} %s ,: ;'\" \U000e0041",
    "`",
    "``|``\\",
    "",
    " ",
    "-" * 9,
    "A" * 50_000,
)


def hostile_gate() -> Document:
    """A change, a weakened key and a waived one for each hostile text, which stands wherever text may stand."""
    findings, waived = [], []
    for number, text in enumerate(HOSTILE):
        named = {"host": text, "service": text, "why": text, "owner": text, "at": (text or "x", number + 1)}
        findings.append(change("added", Severity.INTERNAL_RECON, gained=(text,), lost=(text,), rule=text, **named))
        findings.append(change("weakened", Severity.INTERNAL_RECON, endpoints=(), rule=f"{text}{number}", **named))
        findings.append(change("removed", rule=f"{number}", **named))
        waiver = {**WAIVER, "reason": text, "owner": text, "ticket": text}
        waived.append(change("widened", waiver=waiver, rule=f"{number}", **named))
    return gate(*findings, waived=waived, files=[HOSTILE[0]])
