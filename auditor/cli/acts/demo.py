"""`auditor demo`: builds the practice estate by `lab`, a package of its own that ships with this one, and audits it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click

from auditor import resources
from auditor.cli import signals
from auditor.cli.style import Style
from auditor.errors import AuditorError

_NEEDED = {  # each program with the package of Debian that has it
    "nmap": "nmap",
    "ip": "iproute2",
    "nft": "nftables",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}
_ALSO_IN = "/usr/sbin:/sbin"  # where ordinary users do not look for ip and nft
_LEAVING = 5.0  # seconds in which an audit ends that the terminal has told of Ctrl-C too
_WORDS = {
    0: "everything is as the inventory declares.",
    1: "drift.",
    3: "something could not be verified, and the report says what.",
}


def run(*, repaired: bool, reports: Path, style: Style) -> int:
    env = _environment()
    _check_programs(env["PATH"])
    reports = reports.absolute()
    why_not = _why_not(env)
    due = {0} if repaired else {1}
    if why_not is None:
        style.tell("building the practice estate in network namespaces, and auditing it from three viewpoints")
        inventory, enter, flags = "inventories/practice", _python("-m", "lab.enter"), []
    else:
        style.tell(why_not)
        style.tell(
            "so this is loopback: the same servers on 127.20.0.0/16 of this machine, one viewpoint, no firewalls"
        )
        style.tell("whatever else listens on every address here shows there too; without raw sockets UDP is unverified")
        inventory, enter, flags = "inventories/practice-loopback.yaml", [], ["--loopback"]
        due = {0, 1, 3} if repaired else {1}
    flags += ["--repaired"] if repaired else []
    audit = _python("-m", "auditor", "audit", inventory, "-V", "all", "-o", str(reports), *_talking(style))
    code = _ended([*enter, *_python("-m", "lab.demo", *flags), *audit], env)
    if code not in due:
        raise AuditorError(f"the audit ended with exit code {code} where {min(due)} was due: the demo did not work")
    click.echo(f"\nThe audit ended with exit code {code}: {_WORDS[code]}")
    if not repaired:
        click.echo("With its mistakes in place the estate is to show it.")
        click.echo("The same estate without its mistakes: auditor demo --repaired")
    click.echo(f"The report: {reports / 'latest' / 'report.html'}")
    return 0


def _check_programs(path: str) -> None:
    missing = [name for name in _NEEDED if shutil.which(name, path=path) is None]
    if missing:
        packages = " ".join(dict.fromkeys(_NEEDED[name] for name in missing))
        raise AuditorError(
            f"the demo needs what is not installed here: {', '.join(missing)}\n"
            f"on Debian and Ubuntu: sudo apt-get install --no-install-recommends {packages}"
        )


def _environment() -> dict[str, str]:
    """Ours without what would change the audit's options, and with the lab."""
    plain = {
        key: value
        for key, value in os.environ.items()
        if key != "AUDITOR_CONFIG" and not key.startswith("AUDITOR_AUDIT_")
    }
    own = {"PATH": f"{plain.get('PATH', os.defpath)}:{_ALSO_IN}", "PYTHONDONTWRITEBYTECODE": "1"}
    path = os.pathsep.join(filter(None, (str(resources.lab()), plain.get("PYTHONPATH"))))
    return {**plain, **own, "PYTHONPATH": path}


def _python(*arguments: str) -> list[str]:
    """This Python, which looks for modules in no folder that the command happens to run in."""
    return [sys.executable, "-P", *arguments]


def _talking(style: Style) -> list[str]:
    return ["--color", style.color, *{-1: ["--quiet"], 1: ["--verbose"]}.get(style.verbosity, [])]


def _why_not(env: Mapping[str, str]) -> str | None:
    """Why no namespaces can be made here; None where they can."""
    tried = subprocess.run(
        _python("-m", "lab.enter", "true"),
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else tried.stderr.strip() or f"lab.enter ended with {tried.returncode}"


def _ended(argv: list[str], env: Mapping[str, str]) -> int:
    """The exit code of a command that ends when this one does, however that ends."""
    with subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *argv], env=env, cwd=resources.practice()) as child:
        try:
            return child.wait()
        except signals.Stopped as stop:
            with suppress(subprocess.TimeoutExpired):
                child.wait(_LEAVING if stop.interrupted else 0)
            child.terminate()
            raise
