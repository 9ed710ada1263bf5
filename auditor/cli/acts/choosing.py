"""What the options choose: an inventory, viewpoints, what an audit would look at, what fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from auditor.cli.meant import likely, meant
from auditor.cli.style import say
from auditor.errors import UsageError
from auditor.inventory.expecting.denying import denying
from auditor.inventory.expecting.expecting import expect
from auditor.inventory.loading import load
from auditor.model.expectation import Expectations
from auditor.model.inventory import Inventory, Viewpoint
from auditor.model.words import USUAL_SEVERITIES, Profile, Severity
from auditor.sweeps import Sweeps
from auditor.transport.names import Answer, look_up


def today(names: Collection[str]) -> Mapping[str, Answer]:
    """Where DNS names lead today."""
    return look_up(names)


def load_resolved(path: Path) -> Inventory:
    """The inventory, its DNS names looked up. Raises InventoryError."""
    return load(path, today)


def expecting(
    *,
    inventory_path: Path,
    viewpoints: Sequence[str],
    hosts: Sequence[str],
    tags: Sequence[str],
    profile: str,
    deny: Sequence[str],
    reports: Path,
    locate: Callable[[Inventory, Sequence[Viewpoint]], Sequence[Viewpoint]] = lambda _inventory, viewpoints: viewpoints,
) -> tuple[Inventory, list[Expectations]]:
    """The inventory, and what an audit from each of the viewpoints would look at. Raises AuditorError.

    `locate` finds out where viewpoints stand that have no fixed addresses; without it that is not known.
    """
    declared = denying(load_resolved(inventory_path), deny)
    chosen = locate(declared, pick_viewpoints(declared, viewpoints))
    sweeps = Sweeps(reports, say)
    rotations = sweeps.rotations(declared.name, chosen, datetime.now(UTC))
    return declared, [
        expect(declared, each, Profile(profile), hosts=hosts, tags=tags, rotation=rotations.get(each.name))
        for each in chosen
    ]


def pick_viewpoints(declared: Inventory, names: Sequence[str]) -> tuple[Viewpoint, ...]:
    """The viewpoints that `-V` names, in sorted order. Raises UsageError."""
    known = declared.viewpoints
    if not known:
        raise UsageError("the inventory declares no viewpoint; add one under `viewpoints`")
    if not names and len(known) > 1:
        raise UsageError(f"several viewpoints are declared: choose with -V, one of {', '.join(known)}, or all")
    unknown = sorted(set(names) - set(known) - {"all"})
    if unknown:
        raise UsageError(f"no viewpoint is named {unknown[0]}; {meant(unknown[0], known)}")
    chosen = set(known) if not names or "all" in names else set(names)
    return tuple(viewpoint for name, viewpoint in sorted(known.items()) if name in chosen)


def check_fail_on(words: Sequence[str], known: Collection[str]) -> None:
    """Refuse words of `--fail-on` that mean nothing, or nothing together. Raises UsageError."""
    unknown = sorted(set(words) - set(known))
    if unknown:
        raise UsageError(f"--fail-on {unknown[0]}: {_no_word(unknown[0], known)}")
    alone = [word for word in words if word == "none" or word in set(Severity)]
    if len(words) > 1 and alone:
        raise UsageError(f"--fail-on {alone[0]}: a severity or none stands alone; only kinds repeat")


def _no_word(word: str, known: Collection[str]) -> str:
    """What is wrong with a word of `--fail-on`, in lines: what was meant, the severities by rank, the kinds."""
    usual, close = USUAL_SEVERITIES.get(word.lower()), likely(word, known)
    said = "not a severity, a kind or none"
    if usual:
        said += f"; what others call {word} is {usual.value} here"
    elif close:
        said += f"; did you mean {close}?"
    kinds = [one for one in known if one != "none" and one not in set(Severity)]
    return f"{said}\nseverities, the worst first: {', '.join(Severity)}\nkinds: {', '.join(kinds)}"
