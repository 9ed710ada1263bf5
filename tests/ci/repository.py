"""A repository with an inventory, as CI services see it: an origin, pull requests to it, and shallow checkouts."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = (
    *("auditor", "schemas", "inventories", "script/lab", "pyproject.toml", "README.md", "LICENSE"),
    *("action.yml", ".pre-commit-hooks.yaml"),
)
PATIENCE = 300.0  # seconds; an install from PyPI is among what takes long

ESTATE = """\
version: 1
name: shop
scope: {allow: [203.0.113.0/24]}
viewpoints:
  public: {kind: public, addresses: [198.51.100.20], boundary: filtered}
"""
RANGES = """\
version: 1
ranges:
  internet: {cidrs: [0.0.0.0/0, "::/0"], trust: untrusted}
  office: [10.20.0.0/16]
"""
DATABASE = """\
version: 1
hosts:
  db-1:
    owner: team-data
    interfaces: {public: [203.0.113.12]}
    services:
      postgres:
        ports: 5432/tcp
        class: data-store
        from: [office]
        reason: the shop's data
"""
SITE = """\
version: 1
hosts:
  web-1:
    owner: team-web
    interfaces: {public: [203.0.113.10]}
    services:
      https: {ports: 443/tcp, class: public-web, from: [internet], reason: the shop}
"""
FILES = {"estate.yaml": ESTATE, "ranges.yaml": RANGES, "hosts/db.yaml": DATABASE}
# The three changes of the issue, by name: the files that each writes.
CHANGES: dict[str, dict[str, str]] = {
    "opens-postgres": {"hosts/db.yaml": DATABASE.replace("from: [office]", "from: [0.0.0.0/0]")},
    "narrows-a-range": {"ranges.yaml": RANGES.replace("[10.20.0.0/16]", "[10.20.0.0/17]")},
    "adds-a-site": {"hosts/web.yaml": SITE},
    "is-broken": {"hosts/db.yaml": DATABASE.replace("5432/tcp", "5432/sctp")},
}
# What no base has: another inventory, and the one that there is under another name.
SECOND = {
    "second/estate.yaml": ESTATE.replace("name: shop", "name: second"),
    "second/ranges.yaml": RANGES,
    "second/db.yaml": DATABASE.replace("db-1", "db-2").replace("[office]", "[internet]"),
}
OPENED_LINE = 1 + DATABASE.splitlines().index("        from: [office]")


def git(folder: Path, *arguments: str) -> str:
    """Run git as an author of its own, heeding no configuration of this machine."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    quiet = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    who = {f"GIT_{role}_{what}": "x@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return subprocess.run(
        ["git", *arguments], cwd=folder, env={**plain, **quiet, **who}, check=True, capture_output=True, text=True
    ).stdout.strip()


class Origin:
    """The repository on the service, with a branch for each change and the commit that merges it."""

    def __init__(self, folder: Path, inventory: str = "inventory") -> None:
        self.path, self.inventory = folder / "origin", inventory
        self.path.mkdir()
        git(self.path, "init", "--quiet", "--initial-branch=main")
        self._write({"README.md": "nothing\n"}, "")
        self._commit("first")
        self._write(FILES, inventory)
        self.base = self._commit("the inventory")
        self.forks = dict.fromkeys(CHANGES, self.base)  # where each change left the base
        self.merges: dict[str, str] = {}
        self.heads: dict[str, str] = {}
        for name, files in CHANGES.items():
            git(self.path, "switch", "--quiet", "--create", name, "main")
            self._write(files, inventory)
            self.heads[name] = self._commit(name)
        git(self.path, "switch", "--quiet", "main")
        self._write({"README.md": "another\n"}, "")  # the base moves on, as it does
        self.base = self._commit("something else")
        for name in CHANGES:
            git(self.path, "switch", "--quiet", "--detach", "main")
            git(self.path, "merge", "--quiet", "--no-ff", "--message=merge", name)
            self.merges[name] = git(self.path, "rev-parse", "HEAD")
            git(self.path, "update-ref", f"refs/pull/{name}/merge", self.merges[name])
        git(self.path, "switch", "--quiet", "main")

    def branch(self, name: str, *commands: list[str], files: Mapping[str, str] = {}) -> str:
        """Another branch off main on which these git commands were run and these files written; its commit."""
        git(self.path, "switch", "--quiet", "--create", name, "main")
        for command in commands:
            git(self.path, *command)
        self._write(files, "")
        found = self._commit(name)
        git(self.path, "switch", "--quiet", "main")
        return found

    def _write(self, files: Mapping[str, str], below: str) -> None:
        for name, text in files.items():
            path = self.path / below / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def _commit(self, message: str) -> str:
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", f"--message={message}")
        return git(self.path, "rev-parse", "HEAD")

    def checkout(self, folder: Path, commit: str) -> Path:
        """A checkout of one commit and no more, as the services make it."""
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch=checkout")
        git(folder, "remote", "add", "origin", self.path.as_uri())
        git(folder, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", commit)
        git(folder, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        return folder


def shipped(folder: Path) -> Path:
    """A repository of the auditor as it stands in this tree, committed or not, for tools that clone it."""
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy(source, folder / name)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=as it stands")
    return folder


def run(command: list[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run to the end with this environment and what programs need of the machine's."""
    wanted = ("PATH", "LANG", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    machine = {key: value for key, value in os.environ.items() if key in wanted or key.startswith("PIP_")}
    return subprocess.run(
        command,
        cwd=cwd,
        env={**machine, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def told(done: subprocess.CompletedProcess[str]) -> str:
    return f"{done.stdout}\n{done.stderr}"


def lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line.strip())
