"""A report held against the truth about a drawn estate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from lab.truth import Key, Option, Slot

VERIFIED = Option("verified")
_Place = tuple[str, str, str]  # viewpoint, address, protocol


def differences(slots: Iterable[Slot], report: dict[str, Any]) -> list[str]:
    """What the report says and should not, or the other way round; one line each, none where it is right."""
    slots = list(slots)
    said = _said(report)
    found = [f"{_key(finding)}: false" for finding in report["findings"] if _key(finding) not in _possible(slots)]
    due = {slot.due for slot in slots if slot.due} - {_key(finding) for finding in report["findings"]}
    found += [f"{key}: missed" for key in sorted(due)]
    for slot in slots:
        found += _wrong(slot, said[slot.view, slot.address, slot.protocol])
    total = sum(slot.last - slot.first + 1 for slot in slots)
    counted = sum(report["summary"]["endpoints"].values())
    if total != counted:
        found.append(f"the coverage has {total} endpoints, and the report counts {counted}")
    return found


def _possible(slots: list[Slot]) -> set[Key]:
    due = {slot.due for slot in slots if slot.due}
    return due | {option.finding for slot in slots for option in slot.options if option.finding}


def _wrong(slot: Slot, said: dict[int, tuple[Option, str]]) -> Iterator[str]:
    """Neighbouring ports of which the report says the same wrong thing, in one line."""
    wrong: dict[tuple[Option, str], list[int]] = defaultdict(list)
    for port in range(slot.first, slot.last + 1):
        seen = said.get(port, (VERIFIED, ""))
        if seen[0] not in slot.options:
            wrong[seen].append(port)
    for (option, reason), ports in wrong.items():
        what = option.outcome + (f" {option.finding}" if option.finding else "")
        yield f"{slot}; the report has {what} for {len(ports)} from {ports[0]} on: {reason}"


def _said(report: dict[str, Any]) -> dict[_Place, dict[int, tuple[Option, str]]]:
    """What the report has for each endpoint that is not verified, with its reason."""
    found: dict[_Place, dict[int, tuple[Option, str]]] = defaultdict(dict)
    for outcome in ("unverified", "silent"):
        for entry in report.get(outcome, ()):
            for port in _ports(entry["ports"]):
                found[entry["viewpoint"], entry["address"], entry["protocol"]][port] = Option(outcome), entry["reason"]
    for finding in report["findings"]:
        if finding["kind"] == "all-ports-open":
            continue  # its endpoints are unverified as well
        for entry in finding.get("endpoints", ()):
            place = finding["viewpoint"], entry["address"], entry["protocol"]
            for port in _ports(entry["ports"]):
                found[place][port] = Option("drifted", _key(finding)), f"{entry['state']}, {entry['reason']}"
    return found


def _key(finding: dict[str, Any]) -> Key:
    where = tuple(str(finding.get(key)) for key in ("kind", "viewpoint", "host", "interface", "family"))
    match finding["kind"]:
        case "boundary-leak":
            return where
        case "host-unreachable" | "all-ports-open":
            return *where, finding["address"]
        case "undeclared-port":
            return *where, f"{finding['endpoints'][0]['ports']}/{finding['endpoints'][0]['protocol']}"
        case _:
            return *where, str(finding.get("service"))


def _ports(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)
