"""`auditor compare`: the same verdict from saved evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from auditor import pipeline
from auditor.cli import options
from auditor.cli.duration import duration
from auditor.cli.judged import judge, judging
from auditor.errors import UsageError
from auditor.inventory import load
from auditor.model.ages import spelled
from auditor.model.inventory import Inventory
from auditor.model.words import Profile


def _age(context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """A duration; None for `any`."""
    return None if value == "any" else duration(context, parameter, value, also=" or any")


@click.command("compare")
@options.inventory
@click.option(
    "--nmap-xml",
    "files",
    multiple=True,
    required=True,
    metavar="[VIEWPOINT=]FILE",
    help="nmap's XML output, plain or gzip, and the viewpoint it was made from; repeats.",
)
@click.option(
    "--max-age",
    callback=_age,
    default="30d",
    show_default=True,
    metavar="DURATION",
    help="What was seen longer ago, such as 7d, is unverified; any: whatever its age.",
)
@judging
def command(*, inventory_path: Path, files: tuple[str, ...], max_age: timedelta | None, **rest: Any) -> int:
    """Compare saved nmap XML with the inventory. Sends no packet.

    The coverage is what the files asked, and every declared endpoint in the viewpoint's targets. The source address is
    taken as declared. DNS names that nmap was given stand for where they led then; others are looked up. Of looks at
    one endpoint the younger reply decides. An answer that was followed by silence, and looks of one time that
    contradict each other, are unverified.

    Exit codes: 0 as declared, 1 drift, 2 no verdict, 3 something could not be verified.

    \b
    Example:
      auditor compare inventories/practice --nmap-xml public=scan4.xml --nmap-xml public=scan6.xml
    """
    declared = load(inventory_path)
    paths = _by_viewpoint(declared, files)
    chosen = {viewpoint: paths[viewpoint.name] for viewpoint in declared.viewpoints.values() if viewpoint.name in paths}
    return judge(
        declared,
        Profile.COMPARE,
        lambda request, context, _run: pipeline.compare_evidence(
            declared, chosen, replace(request, max_age=max_age), context, options.today
        ),
        given={"max_age": spelled(max_age) if max_age is not None else "any"},
        **rest,
    )


def _by_viewpoint(declared: Inventory, files: tuple[str, ...]) -> dict[str, list[Path]]:
    paths: dict[str, list[Path]] = {}
    for item in files:
        name, equals, path = item.partition("=")
        named = bool(equals) and name in declared.viewpoints
        if equals and not named and not Path(item).exists():
            raise UsageError(
                f"--nmap-xml {item}: no viewpoint is named {name}; there are {', '.join(declared.viewpoints)}"
            )
        if not named and len(declared.viewpoints) > 1:
            raise UsageError(
                f"--nmap-xml {item}: several viewpoints are declared: say from which it was made, as in "
                f"{next(iter(declared.viewpoints))}={item}; there are {', '.join(declared.viewpoints)}"
            )
        (viewpoint,) = options.pick_viewpoints(declared, (name,) if named else ())
        paths.setdefault(viewpoint.name, []).append(Path(path if named else item))
    return paths
