"""What is wrong with a report about a hostile estate. Small, and from the contract alone.

What is truly open is found or unverified, never passed over. A finding is only what is so. What a device answers for
everybody proves nothing about anybody: it is unverified, and told once. Of a dead host nothing is verified, where a
service of it should answer; and what the report says of itself (complete, its exit code) follows from what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lab.random_hostile import VIEW, Host, Hostile

OTHERS = "answers-for-others"
_Said = dict[tuple[str, str, int], str]  # address, protocol, port: `unverified`, `silent`, or the kind of a finding


def wrong(drawn: Hostile, report: Mapping[str, Any], code: int, usual: frozenset[int]) -> list[str]:
    """One line for each thing that the report says and should not, or the other way round. `usual` are TCP ports."""
    truth = _Truth(drawn, usual)
    said = _said(report)
    found = [f"false finding: {text}" for text in truth.false(report["findings"])]
    found += truth.passed_over(said)
    found += truth.of_devices(said, report["findings"])
    found += truth.of_the_dead(said)
    found += _verdict(report, code)
    return found


class _Truth:
    def __init__(self, drawn: Hostile, usual: frozenset[int]) -> None:
        self._drawn = drawn
        self._hosts = {host.address: host for host in drawn.hosts}
        self._usual = usual if drawn.profile == "quick" else None
        self._answered = {(one.protocol, one.port) for one in drawn.devices if one.port}

    def false(self, findings: list[dict[str, Any]]) -> Iterator[str]:
        """Findings, or endpoints of them, that are none."""
        for finding in findings:
            kind = finding["kind"]
            if finding.get("viewpoint") != VIEW:
                yield f"{kind} at {finding.get('viewpoint')}"
            if kind == "host-unreachable":
                host = self._hosts.get(finding.get("address", ""))
                if host is None or host.alive or not _wanted(host):
                    yield f"{kind} {finding.get('address')}"
                continue
            places = list(_endpoints(finding))
            if not places and kind != OTHERS:
                yield f"{kind} {finding.get('address', '')}"
            for address, protocol, port in places:
                if not self._may_be(kind, self._hosts.get(address), protocol, port):
                    yield f"{kind} {address}:{port}/{protocol}"

    def _may_be(self, kind: str, host: Host | None, protocol: str, port: int) -> bool:
        answered = (protocol, port) in self._answered
        match kind:
            case "answers-for-others":
                return answered
            case "undeclared-port":
                undeclared = host is not None and (protocol, port) not in host.declared
                return undeclared and not answered and protocol == "tcp" and host is not None and port in host.ports
            case "boundary-leak":
                refused = host is not None and host.kind == "refuses"  # over UDP all of it: nothing listens there
                shut = host is not None and (protocol == "udp" or port not in host.ports)
                return refused and shut and self._drawn.boundary == "filtered"
            case "service-filtered":  # where replies are lost it cannot always be asked to the end whether it lives
                dead = host is not None and not host.alive and (protocol, port) in host.declared
                return dead and not self._drawn.calm
            case _:
                return False

    def passed_over(self, said: _Said) -> Iterator[str]:
        """What is open and nobody answers for, and the report knows nothing of."""
        for host in self._drawn.hosts:
            for port in host.ports:
                declared = ("tcp", port) in host.declared
                if ("tcp", port) in self._answered or not self._covered(host, port):
                    continue
                outcome = said.get((host.address, "tcp", port))
                if (
                    outcome not in (None, "unverified")
                    if declared
                    else outcome not in ("undeclared-port", "unverified")
                ):
                    what = "declared" if declared else "undeclared"
                    yield f"{host.name} {host.address}:{port}/tcp is open, {what}, and {outcome or 'passed over'}"
                elif outcome == "unverified" and self._drawn.calm and self._usual:
                    yield f"{host.name} {host.address}:{port}/tcp is open, and unverified without need"

    def of_devices(self, said: _Said, findings: list[dict[str, Any]]) -> Iterator[str]:
        """One finding at most, since there is one network; one at least, where an open port of a device can be seen."""
        told = sum(finding["kind"] == OTHERS for finding in findings)
        opens = [one for one in self._drawn.devices if one.opens]
        if told > 1 or (told and not self._answered) or (not told and opens and self._drawn.calm):
            yield f"{told} findings that something answers for others"
        for host in self._drawn.hosts:
            for one in self._drawn.devices:
                place = host.address, one.protocol, one.port
                if not one.port or not (one.protocol == "udp" or self._covered(host, one.port)):
                    continue
                right = {"unverified", OTHERS}
                if not host.alive and _wanted(host):
                    right |= {"host-unreachable"}
                if one.what == "ident" and host.alive:  # refused by whomever: nothing is to be had there
                    right |= (
                        {"boundary-leak"} if self._drawn.boundary == "filtered" and host.kind == "refuses" else set()
                    )
                    right |= {None} if self._drawn.boundary == "any" else set()
                if said.get(place) not in right:
                    where = f"{host.name} {host.address}:{one.port}/{one.protocol}"
                    yield f"{where}, where a {one.what} answers for others: {said.get(place, 'verified')}"

    def of_the_dead(self, said: _Said) -> Iterator[str]:
        """Where a service should answer, and nothing lives: that is told, and the rest unverified."""
        for host in self._drawn.hosts:
            if host.alive or not _wanted(host):
                continue
            ports = {port for protocol, port in host.declared if protocol == "tcp"}
            ports |= self._usual or set(range(1, 65536))
            verified = [port for port in sorted(ports) if said.get((host.address, "tcp", port)) in (None, "silent")]
            if verified:
                yield f"{host.name} {host.address} is dead, and {len(verified)} ports verified, from {verified[0]} on"

    def _covered(self, host: Host, port: int) -> bool:
        return self._usual is None or port in self._usual or ("tcp", port) in host.declared


def _wanted(host: Host) -> bool:
    return any(protocol == "tcp" for protocol, _ in host.declared)


def _verdict(report: Mapping[str, Any], code: int) -> Iterator[str]:
    """The exit code is the first that holds; complete is what lacks nothing."""
    verdict = report["verdict"]
    complete = not report["unverified"] and not report["errors"]
    due = 1 if report["findings"] else 0 if complete else 3
    if (complete, due, due) != (verdict["complete"], verdict["exit_code"], code):
        yield f"the verdict is complete {verdict['complete']}, exit {verdict['exit_code']} ({code}): due is {due}"


def _said(report: Mapping[str, Any]) -> _Said:
    """What the report has for each endpoint that is not verified."""
    found: _Said = {}
    for finding in report["findings"]:
        found |= dict.fromkeys(_endpoints(finding), finding["kind"])
    for outcome in ("silent", "unverified"):
        for entry in report.get(outcome, ()):
            found |= dict.fromkeys(_endpoints({"endpoints": [entry]}), outcome)
    return found


def _endpoints(finding: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    for one in finding.get("endpoints", ()):
        for part in one["ports"].split(","):
            first, _, last = part.partition("-")
            for port in range(int(first), int(last or first) + 1):
                yield one["address"], one["protocol"], port
