"""What the reports for people show, worked out from the document: sentences, tables, groups. No markup."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from auditor.model.ages import spelled
from auditor.model.ports import PortSet
from auditor.model.words import NOTICES, Result, ServiceClass, Severity
from auditor.report.plain import Document

NO_CLASS = "no class"  # shown for findings about a whole address or boundary
NO_OWNER = "no owner"
_SHOWN = 8  # names in one line
_RECENT = timedelta(days=1)  # what was seen before that, people are told of
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_WORDS = {"clean": "Clean", "drift": "Drift", "incomplete": "Incomplete"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word` is the result; `sentence` says what it rests on."""

    word: str
    sentence: str


def verdict(document: Document) -> Verdict:
    sentences = filter(None, (_result(document), _completeness(document), _age(document)))
    return Verdict(_WORDS[document["verdict"]["result"]], " ".join(sentences))


def _result(document: Document) -> str:
    findings = acted_on(document)
    if not findings:
        return _without_findings(document)
    severities = Counter(finding["severity"] for finding in findings)
    each = ", ".join(f"{severities[severity]:,} {severity}" for severity in Severity if severities[severity])
    waived = len(document["waived"])
    return f"{count(len(findings), 'finding')}: {each}{f'; {waived:,} waived' if waived else ''}."


def acted_on(document: Document) -> list[Document]:
    """The findings that are no notices: those that the verdict is about."""
    return [finding for finding in document["findings"] if finding["kind"] not in NOTICES]


def notices(document: Document) -> list[Document]:
    return [finding for finding in document["findings"] if finding["kind"] in NOTICES]


def noticed(document: Document) -> list[tuple[str, str]]:
    """What the scans found out about the network on the way: (viewpoint, note)."""
    return [(view["name"], note) for view in document["audit"]["viewpoints"] for note in view.get("notes", ())]


def _without_findings(document: Document) -> str:
    """What a result without findings rests on: silence is no verification, and what was not told may have drifted."""
    complete, endpoints = document["verdict"]["complete"], document["summary"]["endpoints"]
    verified, silent = endpoints["verified"], endpoints["silent"]
    if not complete and not verified:
        return "Nothing is verified."
    waived = len(document["waived"])
    claim = "Nothing drifted" if complete else "No drift was seen"
    claim += f" that is not waived ({count(waived, 'finding')} {'is' if waived == 1 else 'are'})" if waived else ""
    said = f"{claim}: {count(verified, 'endpoint')} {'is' if verified == 1 else 'are'} as the inventory declares"
    return f"{said}, {silent:,} silent." if silent else f"{said}."


def _completeness(document: Document) -> str:
    if document["verdict"]["complete"]:
        return ""
    unverified = document["summary"]["endpoints"]["unverified"]
    errors = len(document["errors"])
    parts = [f"{count(unverified, 'endpoint')} could not be verified"] if unverified else []
    parts += [f"{count(errors, 'error')} came up on the way"] if errors else []
    return f"The audit is incomplete: {' and '.join(parts) or 'a stage failed'}."


def _age(document: Document) -> str:
    known = seen(document)
    return f"It rests on what was seen {known}." if known else ""


def seen(document: Document, viewpoint: str | None = None) -> str:
    """When what counts was seen, by one viewpoint or by all, where it was more than a day before the end; else "".

    `from 2026-11-12T02:00Z to 2026-11-20T03:00Z, up to 12 days before`.
    """
    rows = [row for row in document["coverage"] if viewpoint in (None, row["viewpoint"]) and "seen" in row]
    end = datetime.fromisoformat(document["audit"]["finished_at"])
    dated = [
        datetime.fromisoformat(row["seen"][key]) for row in rows for key in ("from", "to") if "from" in row["seen"]
    ]
    undated = "at a time that the evidence does not tell" if any("undated" in row["seen"] for row in rows) else ""
    first, last = min(dated, default=end), max(dated, default=end)
    if not undated and end - first <= _RECENT:
        return ""
    if not dated:
        return undated
    if f"{first:%Y-%m-%dT%H:%M}" == f"{last:%Y-%m-%dT%H:%M}":
        known = f"at {first:%Y-%m-%dT%H:%MZ}, {spelled(end - first)} before"
    else:
        known = f"from {first:%Y-%m-%dT%H:%MZ} to {last:%Y-%m-%dT%H:%MZ}, up to {spelled(end - first)} before"
    return " and ".join(filter(None, (known, undated)))


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 finding`, `1,204 findings`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def some(names: Sequence[str], shown: int = _SHOWN) -> str:
    """The first few of the names, and how many more there are."""
    rest = len(names) - shown
    return ", ".join(map(str, names[:shown])) + (f" and {rest:,} more" if rest > 0 else "")


def times(document: Document) -> str:
    """`2026-11-22 02:00:00 to 02:01:02 UTC, 62 s`; the date of a later time only where it is another.

    Of an audit that was interrupted also when it went on: its observations are from before and after.
    """
    start, end = (datetime.fromisoformat(document["audit"][key]) for key in ("started_at", "finished_at"))

    def later(time: datetime) -> str:
        return f"{time:%H:%M:%S}" if start.date() == time.date() else f"{time:%Y-%m-%d %H:%M:%S}"

    lasted = _duration(int((end - start).total_seconds())) if start <= end else "by a clock that was set back"
    whole = f"{start:%Y-%m-%d %H:%M:%S} to {later(end)} UTC, {lasted}"
    resumed = [later(datetime.fromisoformat(time)) for time in document["audit"].get("resumed", ())]
    more = (
        f" and {len(resumed) - 1} times before" if len(resumed) > 2 else " and once before" if len(resumed) > 1 else ""
    )
    return f"{whole}, interrupted and resumed at {resumed[-1]}{more}" if resumed else whole


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def endpoint(row: Mapping[str, Any]) -> str:
    """`203.0.113.10:22/tcp`, `[2001:db8::1]:22,80/tcp`: as people write them."""
    address = f"[{row['address']}]" if ":" in row["address"] else row["address"]
    ports = row["ports"] if len(row["ports"]) <= 40 else f"{row['ports'][:36].rsplit(',', 1)[0]},…"
    return f"{address}:{ports}/{row['protocol']}"


def place_of(finding: Document) -> str:
    """Where the finding is: its endpoint, or its address where it is about one, and how many more there are."""
    rows = finding["endpoints"]
    if "address" in finding:
        return str(finding["address"])
    if not rows:
        return declared_at(finding) or str(finding.get("host", ""))
    return endpoint(rows[0]) + (f" +{len(rows) - 1:,} more" if len(rows) > 1 else "")


def declared_at(finding: Document) -> str:
    """`inventory.yaml:12`, where the finding is about a line of the inventory; else ""."""
    at = finding.get("declared_at")
    return f"{at['file']}:{at['line']}" if at else ""


def change(finding: Document) -> str:
    """What is expected and what was observed instead; or the rule that is broken."""
    return rule(finding) or f"{expected(finding)} → {observed(finding)}"


def rule(finding: Document) -> str:
    """The rule that is broken, with a waiver's match in words; or ""."""
    broken, waiver = str(finding.get("rule", "")), finding.get("about_waiver")
    if waiver is None:
        return broken
    name = broken.partition("{")[0]
    return f"{name}for {matched(waiver)}" if name else matched(waiver)


def matched(waiver: Mapping[str, Any]) -> str:
    """What a waiver covers: `host web-1, ports 8080/tcp or 9090/tcp`."""
    return ", ".join(f"{key} {' or '.join(values)}" for key, values in waiver["match"].items())


def until(waiver: Mapping[str, Any]) -> str:
    """The last day of a waiver, which may be the policy's and not its own."""
    return str(waiver.get("covered_until", waiver["expires"]))


def time_left(waiver: Mapping[str, Any], today: date) -> str:
    """`ends today`, `1 day left`, `90 days left`."""
    days = (date.fromisoformat(until(waiver)) - today).days
    return "ends today" if days == 0 else f"{count(days, 'day')} left"


def day_of(document: Document) -> date:
    """The day of the audit, UTC."""
    return datetime.fromisoformat(document["audit"]["finished_at"]).date()


def expired(finding: Document) -> str:
    """The sentence about the waiver that covered the finding until it expired; else ""."""
    waiver = finding.get("expired_waiver")
    return f"It was waived until {until(waiver)} by {waiver['owner']}: {waiver['reason']}" if waiver else ""


def expiring(document: Document) -> list[tuple[Document, int]]:
    """The waivers that cover something and are about to expire, the first to end first, and what each covers."""
    covering: dict[str, tuple[Document, int]] = {}
    for finding in document["waived"]:
        waiver = finding["waiver"]
        if "expires_in_days" in waiver:
            key = json.dumps(waiver, sort_keys=True)
            covering[key] = waiver, covering.get(key, (waiver, 0))[1] + 1
    return sorted(covering.values(), key=lambda one: (until(one[0]), matched(one[0])))


def expected(finding: Document) -> str:
    return str(finding["expected"]["state"]) if "expected" in finding else "nothing declared"


def observed(finding: Document) -> str:
    """The port states observed, worst first as the document sorts them; or the kind where there is none."""
    states = sorted({row["state"] for row in finding["endpoints"] if "state" in row}, key=_STATES.index)
    if finding["kind"] == "host-unreachable":
        return "no reply"
    return ", ".join(states) or "alive"


_STATES = ["open", "closed", "filtered", "open|filtered", "unfiltered", "closed|filtered"]


def identity(finding: Document) -> str:
    """What answered, in a few words; empty where nothing was recognised."""
    service = finding.get("observed", {}).get("service")
    if not service or service["method"] != "probed":
        return ""
    return " ".join(filter(None, (service.get("product") or service["name"], service.get("version"))))


def title(kind: str) -> str:
    return kind.replace("-", " ").capitalize()


def severity_table(findings: Iterable[Document]) -> list[tuple[str, list[int]]]:
    """For each class that occurs, how many findings of each severity, highest first."""
    table: dict[str, list[int]] = {name: [0] * len(Severity) for name in (*ServiceClass, NO_CLASS)}
    for finding in findings:
        table[finding.get("class", NO_CLASS)][finding["rank"] - 1] += 1
    return [(name, counts) for name, counts in table.items() if any(counts)]


@dataclass(frozen=True, slots=True)
class Cell:
    """One host from one viewpoint.

    `state` is a severity, `unverified`, `waived`, `silent` (all of it), `partly silent`, `verified` or `not covered`.
    """

    host: str
    viewpoint: str
    state: str
    rank: int
    findings: int = 0


def host_matrix(document: Document) -> list[tuple[str, list[Cell]]]:
    """Every host from every viewpoint, the worst first; hosts that no viewpoint covers are left away."""
    views = [viewpoint["name"] for viewpoint in document["audit"]["viewpoints"]]
    worst: dict[tuple[str, str], Document] = {}
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for finding in document["findings"]:
        if "viewpoint" not in finding:
            continue
        place = finding.get("host", ""), finding["viewpoint"]
        worst.setdefault(place, finding)
        counts[place] += 1
    unverified = {(row["host"], row["viewpoint"]) for row in document["unverified"]}
    waived = {(row.get("host", ""), row["viewpoint"]) for row in document["waived"] if "viewpoint" in row}
    silent: dict[tuple[str, str], int] = defaultdict(int)
    for row in document["silent"]:
        silent[row["host"], row["viewpoint"]] += ports_in(row)
    covered = _covered(document)
    hosts = {host for host, _ in (*covered, *worst, *unverified, *waived, *silent) if host}

    def cell(host: str, view: str) -> Cell:
        place = host, view
        if place in worst:
            return Cell(host, view, worst[place]["severity"], worst[place]["rank"], counts[place])
        if place in unverified:
            return Cell(host, view, "unverified", 7)
        if place in waived:
            return Cell(host, view, "waived", 7)
        if place in silent:
            return Cell(host, view, "silent" if silent[place] >= covered.get(place, 0) else "partly silent", 8)
        if place in covered:
            return Cell(host, view, "verified", 9)
        return Cell(host, view, "not covered", 10)

    rows = [(host, [cell(host, view) for view in views]) for host in hosts]
    return sorted(rows, key=lambda row: (sorted(cell.rank for cell in row[1]), row[0]))


def _covered(document: Document) -> dict[tuple[str, str], int]:
    """How many endpoints of each host each viewpoint covers."""
    owner_of = {
        address: name
        for name, host in document["hosts"].items()
        for addresses in host["interfaces"].values()
        for address in addresses
    }
    covered: dict[tuple[str, str], int] = defaultdict(int)
    for row in document["coverage"]:
        ports = len(PortSet.parse(row["tcp"])) + len(PortSet.parse(row["udp"]))
        for address in row["addresses"]:
            covered[owner_of.get(address, address), row["viewpoint"]] += ports
    return covered


@dataclass(frozen=True, slots=True)
class Group:
    """Endpoints that share a viewpoint and a reason."""

    viewpoint: str
    reason: str
    endpoints: int
    rows: list[Document]


def by_reason(rows: Iterable[Document]) -> list[Group]:
    """The unverified or silent endpoints by reason, the reason with most endpoints first."""
    groups: dict[tuple[str, str], list[Document]] = defaultdict(list)
    for row in rows:
        groups[row["viewpoint"], row["reason"]].append(row)
    found = [
        Group(viewpoint, reason, sum(ports_in(row) for row in members), members)
        for (viewpoint, reason), members in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.endpoints, group.viewpoint, group.reason))


def ports_in(row: Mapping[str, Any]) -> int:
    return len(PortSet.parse(row["ports"]))


def fill(text: str, values: Mapping[str, str]) -> str:
    """A playbook text with its placeholders filled, once: what a value says is never filled again."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def totals(document: Document) -> list[tuple[str, int, str]]:
    """(word, number, what it means) for each outcome, and what was left out."""
    endpoints = document["summary"]["endpoints"]
    meaning = {
        Result.VERIFIED: "endpoints are as declared",
        Result.DRIFTED: "endpoints are not as declared",
        Result.SILENT: "gave no answer, neither good nor bad",
        Result.UNVERIFIED: "could not be told: never a pass",
    }
    rows = [(result.value, endpoints[result.value], meaning[result]) for result in Result]
    return [*rows, ("left out", len(document["left_out"]), "entries, not looked at by choice")]


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a playbook's prose, or a command to paste."""

    text: str
    command: bool


def blocks(text: str, values: Mapping[str, str]) -> list[Block]:
    """A playbook text with its placeholders filled. What stands between backticks is a command.

    The text is split before it is filled, so that no value can pass for a command.
    """
    pieces = [
        Block(filled if number % 2 else filled.lstrip(" .,;"), bool(number % 2))
        for number, piece in enumerate(text.split("`"))
        if (filled := fill(piece, values).strip())
    ]
    return [piece for piece in pieces if piece.text]
