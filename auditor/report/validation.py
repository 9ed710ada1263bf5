"""What `validate` says of an inventory, as a document and as lines like a compiler's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from auditor.errors import Problem
from auditor.model.inventory import Location
from auditor.model.lint import JudgedBreach, Lint, Sight, Validation
from auditor.model.words import Address, Family
from auditor.report import views
from auditor.report.hostile import visible
from auditor.report.plain import Document, present

SCHEMA = "auditor/validation/v1"
_NOWHERE = Location("", 0)
_MOST_TOLD = 12  # names or addresses in one line; the document has all of them


def validation(found: Validation) -> Document:
    """The document of a valid inventory."""
    sight = found.sight
    return {
        "schema": SCHEMA,
        "name": found.inventory.name,
        "valid": True,
        "counts": _counts(found),
        "breaches": [_breach(one) for one in _in_order(found.breaches)],
        "waived": [_breach(one) for one in _in_order(found.waived)],
        "lint": [_lint(one) for one in found.lint],
        "coverage": {
            "ranges": list(sight.ranges),
            "unseen": list(sight.unseen),
            "addresses": {str(family): sight.addresses[family] for family in Family},
            "watched": {str(family): sight.watched[family] for family in Family},
            "unwatched": [{"host": host, "address": str(address)} for host, address in sight.unwatched],
            "denied": [{"host": host, "address": str(address)} for host, address in sight.denied],
        },
    }


def invalid(problems: Iterable[Problem]) -> Document:
    """The document of an inventory that cannot be used."""
    errors = [
        present(
            id=problem.id,
            message=problem.message,
            path=problem.path or None,
            file=problem.file,
            line=problem.line or None,
            column=problem.column or None,
        )
        for problem in problems
    ]
    return {"schema": SCHEMA, "valid": False, "errors": errors}


def breach_lines(found: Validation) -> Iterator[str]:
    """`file:line:column: path: message [policy-breach]`, the form of every message about an inventory."""
    for one in _in_order(found.breaches):
        yield _line(one.breach.location, one.path, one.finding.why, one.breach.kind)


def lint_lines(found: Validation) -> Iterator[str]:
    for one in found.lint:
        yield _line(one.location, one.path, one.message, one.rule)


def summary_lines(found: Validation) -> Iterator[str]:
    """What the inventory holds, and how much of it the viewpoints see."""
    counts = _counts(found)
    holds = ", ".join(views.count(counts[key], key.removesuffix("s")) for key in ("hosts", "services", "viewpoints"))
    yield f"{found.inventory.name}: valid: {holds} in {views.count(counts['files'], 'file')}{_said(found)}"
    yield _ranges(found.sight)
    yield _addresses(found.sight)


def _counts(found: Validation) -> dict[str, int]:
    inventory = found.inventory
    return {
        "hosts": len(inventory.hosts),
        "services": sum(len(host.services) for host in inventory.hosts.values()),
        "viewpoints": len(inventory.viewpoints),
        "files": len(inventory.files),
    }


def _said(found: Validation) -> str:
    parts = [
        f"{views.count(len(found.breaches), 'breach', 'breaches')} of the policy" if found.breaches else "",
        f"{views.count(len(found.waived), 'breach', 'breaches')} waived" if found.waived else "",
        f"{len(found.lint)} lint" if found.lint else "",
    ]
    told = ", ".join(filter(None, parts))
    return f"; {told}" if told else ""


def _ranges(sight: Sight) -> str:
    if not sight.ranges:
        return "source ranges: no service names one"
    number = len(sight.ranges) - len(sight.unseen)
    rest = f"; nobody stands in: {views.some(sight.unseen, _MOST_TOLD)}" if sight.unseen else ""
    has = "has" if number == 1 else "have"
    return f"source ranges: {number} of {len(sight.ranges)} {has} a viewpoint standing in them{rest}"


def _addresses(sight: Sight) -> str:
    families = [
        f"{sight.watched[family]} of {sight.addresses[family]} {family.spelled}"
        for family in Family
        if sight.addresses[family]
    ]
    looked = f"addresses: {' and '.join(families)} are looked at" if families else "addresses: none"
    unwatched = f"; nobody looks at: {_places(sight.unwatched)}" if sight.unwatched else ""
    denied = f"; the scope denies: {_places(sight.denied)}" if sight.denied else ""
    return looked + unwatched + denied


def _places(found: Iterable[tuple[str, Address]]) -> str:
    return views.some([f"{host} {address}" for host, address in found], _MOST_TOLD)


def _line(location: Location | None, path: str, message: str, rule: str) -> str:
    where = f"{location.file}:{location.line}:{location.column}: " if location else ""
    return visible(f"{where}{path}: {message} [{rule}]")


def _in_order(breaches: Iterable[JudgedBreach]) -> list[JudgedBreach]:
    """By file and line, as lint is."""
    return sorted(breaches, key=lambda one: (one.breach.location or _NOWHERE, one.path, one.breach.rule))


def _breach(one: JudgedBreach) -> Document:
    breach = one.breach
    return present(
        rule=breach.rule,
        severity=str(one.finding.severity),
        fingerprint=one.finding.fingerprint,
        message=one.finding.why,
        host=breach.host,
        service=breach.service.name if breach.service else None,
        path=one.path,
        **_where(breach.location),
    )


def _lint(one: Lint) -> Document:
    return {"rule": one.rule, "reason": one.reason, "message": one.message, "path": one.path, **_where(one.location)}


def _where(location: Location | None) -> Document:
    return {"file": location.file, "line": location.line, "column": location.column} if location else {}
