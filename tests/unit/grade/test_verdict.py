"""The verdict and the exit code: drift outweighs incompleteness, and nothing unseen is ever clean."""

from __future__ import annotations

from datetime import date
from ipaddress import ip_address, ip_network

import pytest

from auditor.grade.verdict import verdict
from auditor.model.audit import StageError
from auditor.model.breach import StaleWaiver
from auditor.model.drift import Comparison, Drift, Outcome
from auditor.model.expectation import Expectation
from auditor.model.finding import Finding, Playbook
from auditor.model.inventory import Match, Viewpoint, Waiver
from auditor.model.observation import Scan
from auditor.model.ports import PortSet
from auditor.model.words import (
    Basis,
    ExpectedState,
    Family,
    Kind,
    Profile,
    Protocol,
    Result,
    Severity,
    Technique,
    ViewpointKind,
)

VIEWPOINT = Viewpoint("public", ViewpointKind.PUBLIC, (ip_address("198.51.100.20"),), (ip_network("203.0.113.0/24"),))
ERROR = StageError("scan", "nmap was killed by signal 9")


def seen(*results):
    expectation = Expectation(
        "public",
        "web-1",
        "public",
        ip_address("203.0.113.10"),
        Protocol.TCP,
        PortSet.of(22),
        ExpectedState.BLOCKED,
        Basis.UNDECLARED,
    )
    outcomes = tuple(Outcome(expectation, PortSet.of(22), result, "") for result in results)
    scan = Scan("public", Technique.SYN, "7.93")
    return Comparison(VIEWPOINT, Profile.STANDARD, scan, outcomes, ())


def finding(kind=Kind.UNDECLARED_PORT, severity=Severity.INTERNAL_RECON):
    return Finding("v1:0", Drift(kind, VIEWPOINT, "web-1", "public", Family.IPV4, ()), severity, "", Playbook("x", {}))


WAIVER = Waiver(Match('{"host":["web-1"]}'), "migration", "team-web", date(2026, 10, 2), date(2026, 12, 31))
NOTICE = Finding("v1:1", StaleWaiver(WAIVER), Severity.OPERATIONAL_DRIFT, "", Playbook("x", {}))
FINE, DOUBT, QUIET = seen(Result.VERIFIED), seen(Result.VERIFIED, Result.UNVERIFIED), seen(Result.SILENT)


@pytest.mark.parametrize(
    ("findings", "comparisons", "errors", "options", "wanted"),
    [
        ([], [FINE], [], {}, ("clean", True, 0)),
        ([], [QUIET], [], {}, ("clean", True, 0)),
        ([], [DOUBT], [], {}, ("incomplete", False, 3)),
        ([], [FINE, DOUBT], [], {"allow_unverified": True}, ("incomplete", False, 0)),
        ([], [seen()], [], {}, ("incomplete", False, 3)),
        ([], [FINE, seen()], [], {}, ("incomplete", False, 3)),
        ([], [FINE], [ERROR], {}, ("incomplete", False, 3)),
        ([finding()], [FINE], [], {}, ("drift", True, 1)),
        ([finding()], [DOUBT], [ERROR], {}, ("drift", False, 1)),
        ([finding()], [FINE], [], {"fail_on": ["none"]}, ("drift", True, 0)),
        ([finding()], [DOUBT], [], {"fail_on": ["none"]}, ("drift", False, 3)),
        ([finding()], [FINE], [], {"fail_on": ["data-exposure"]}, ("drift", True, 0)),
        ([finding()], [FINE], [], {"fail_on": ["internal-recon"]}, ("drift", True, 1)),
        ([finding()], [FINE], [], {"fail_on": ["operational-drift"]}, ("drift", True, 1)),
        ([finding()], [FINE], [], {"fail_on": ["undeclared-port", "wrong-family"]}, ("drift", True, 1)),
        ([finding()], [FINE], [], {"fail_on": ["wrong-family"]}, ("drift", True, 0)),
        ([NOTICE], [FINE], [], {}, ("clean", True, 0)),
        ([NOTICE], [DOUBT], [], {}, ("incomplete", False, 3)),
        ([NOTICE], [FINE], [], {"fail_on": ["operational-drift"]}, ("clean", True, 0)),
        ([NOTICE], [FINE], [], {"fail_on": ["none"]}, ("clean", True, 0)),
        ([NOTICE], [FINE], [], {"fail_on": ["stale-waiver"]}, ("clean", True, 1)),
        ([NOTICE], [DOUBT], [], {"fail_on": ["wrong-family", "stale-waiver"]}, ("incomplete", False, 1)),
        ([NOTICE, finding()], [FINE], [], {"fail_on": ["wrong-family"]}, ("drift", True, 0)),
    ],
)
def test_verdict(findings, comparisons, errors, options, wanted):
    """Result, completeness and exit code follow from what was found and what could not be told."""
    judged = verdict(findings, comparisons, errors, **options)

    assert (judged.result, judged.complete, judged.exit_code) == wanted
