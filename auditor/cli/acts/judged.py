"""What `audit` and `compare` share: the run's folder, and the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from types import MappingProxyType

from auditor.cli.acts import choosing, ending, resuming
from auditor.cli.acts.formats import parse_formats
from auditor.cli.acts.screen import Log
from auditor.cli.style import Style
from auditor.grade.verdict import FAIL_ON_WORDS
from auditor.model.audit import Audit
from auditor.model.context import Context
from auditor.model.inventory import Inventory
from auditor.model.words import Profile
from auditor.pipeline.judging import Request
from auditor.report.document import document
from auditor.report.formats import FORMATS
from auditor.rundir.folder import RunDir

_Judge = Callable[[Request, Context, RunDir], Audit]
_NOTHING = nullcontext()


def now() -> datetime:
    """The time, UTC: the one place where an audit's clock is read."""
    return datetime.now(UTC)


def judge(
    inventory: Inventory,
    profile: Profile,
    act: _Judge,
    *,
    resumed: resuming.Resumed | None = None,
    hosts: tuple[str, ...],
    tags: tuple[str, ...],
    reports: Path,
    formats: tuple[str, ...],
    fail_on: tuple[str, ...],
    allow_unverified: bool,
    style: Style,
    held: AbstractContextManager[object] = _NOTHING,
    given: Mapping[str, object] = MappingProxyType({}),
) -> int:
    """Run `act` and write its reports; the exit code of its verdict.

    `given` are options of the command's own; `resumed` is an audit that goes on. `held` is what has to be had before it
    begins, and is let go of when its reports are written.
    """
    choosing.check_fail_on(fail_on, FAIL_ON_WORDS)
    wanted = parse_formats(formats)
    with held:
        request = _request(
            profile, resumed, hosts=hosts, tags=tags, fail_on=fail_on, allow_unverified=allow_unverified, given=given
        )
        with Log(style) as log:
            run = resumed.run if resumed else RunDir(reports, inventory.name, request.id, request.started_at)
            with run.discarded_on_error(), resuming.telling_how(run):
                audit = act(request, Context(now, SystemRandom(), log.emit), run)
                report = document(audit)
                run.write("report.json", FORMATS["json"](report))
                swept = {one.viewpoint.name: one.rotation for one in audit.comparisons if one.swept and one.rotation}
                ending.write_down(run, report, swept, log.warn)
    return ending.tell(run, report, [one.viewpoint.name for one in audit.comparisons], wanted, style)


def _request(
    profile: Profile,
    resumed: resuming.Resumed | None,
    *,
    hosts: tuple[str, ...],
    tags: tuple[str, ...],
    fail_on: tuple[str, ...],
    allow_unverified: bool,
    given: Mapping[str, object],
) -> Request:
    """A new audit's, or that of one more attempt at an audit, which is noted in its folder."""
    at = now()
    if resumed is not None:
        resumed.run.resume(at)
    return Request(
        id=resumed.asked.id if resumed else f"{SystemRandom().getrandbits(128):032x}",
        started_at=resumed.asked.started_at if resumed else at,
        resumed=resumed.run.resumed if resumed else (),
        profile=profile,
        hosts=hosts,
        tags=tags,
        fail_on=fail_on,
        allow_unverified=allow_unverified,
        options=_given(hosts=hosts, tags=tags, fail_on=fail_on, allow_unverified=allow_unverified, **given),
    )


def _given(**given: object) -> dict[str, object]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items() if value}
