"""`auditor compare`: the same verdict from saved evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from auditor.cli.acts import choosing
from auditor.cli.acts.judged import judge
from auditor.cli.meant import meant
from auditor.errors import UsageError
from auditor.inventory.loading import load
from auditor.model.ages import spelled
from auditor.model.inventory import Inventory
from auditor.model.words import Profile
from auditor.pipeline import comparing


def run(*, inventory_path: Path, files: tuple[str, ...], max_age: timedelta | None, **rest: Any) -> int:
    declared = load(inventory_path)
    paths = _by_viewpoint(declared, files)
    chosen = {viewpoint: paths[viewpoint.name] for viewpoint in declared.viewpoints.values() if viewpoint.name in paths}
    return judge(
        declared,
        Profile.COMPARE,
        lambda request, context, _run: comparing.compare_evidence(
            declared, chosen, replace(request, max_age=max_age), context, choosing.today
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
            raise UsageError(f"--nmap-xml {item}: no viewpoint is named {name}; {meant(name, declared.viewpoints)}")
        if not named and len(declared.viewpoints) > 1:
            raise UsageError(
                f"--nmap-xml {item}: several viewpoints are declared: say from which it was made, as in "
                f"{next(iter(declared.viewpoints))}={item}; there are {', '.join(declared.viewpoints)}"
            )
        (viewpoint,) = choosing.pick_viewpoints(declared, (name,) if named else ())
        paths.setdefault(viewpoint.name, []).append(Path(path if named else item))
    return paths
