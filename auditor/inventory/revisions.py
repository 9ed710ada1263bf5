"""An inventory as it is at a revision of a git repository: `git:REV:PATH`. Nothing is checked out or fetched."""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath
from tempfile import TemporaryDirectory, TemporaryFile

from auditor.errors import InventoryError, Problem, UsageError
from auditor.inventory.files import MAX_BYTES, is_inventory_file
from auditor.inventory.text import clean

_PREFIX = "git:"
_PATIENCE = 60  # seconds; reading a tree takes milliseconds
_FILE, _LINK, _SUBMODULE = "file", "link", "submodule"
_KINDS = {"100644": _FILE, "100664": _FILE, "100755": _FILE, "120000": _LINK, "160000": _SUBMODULE}


@dataclass(frozen=True, slots=True)
class Revision:
    """`path` is relative to the current folder, as git takes it there."""

    rev: str
    path: str

    def __str__(self) -> str:
        return f"{_PREFIX}{self.rev}:{self.path}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of a tree. `name` is its path below the inventory's, "" where that is the entry itself."""

    kind: str
    blob: str
    size: int
    name: str


def revision(text: str) -> Revision | None:
    """What `git:REV:PATH` names; None for a plain path. Raises UsageError where it names nothing."""
    if not text.startswith(_PREFIX):
        return None
    rev, colon, path = text.removeprefix(_PREFIX).partition(":")
    if not rev or not colon or not path:
        raise UsageError(f"{text}: write it as git:REV:PATH, such as git:origin/main:inventories/prod")
    if rev.startswith("-"):
        raise UsageError(f"{text}: no revision begins with `-`; write a branch, a tag or a commit")
    if "\0" in text:
        raise UsageError("a path cannot hold a NUL character")
    return Revision(rev, posixpath.normpath(os.path.relpath(path) if posixpath.isabs(path) else path))


@contextmanager
def copied(asked: Revision) -> Iterator[FilePath | None]:
    """The inventory's files in a folder of their own, or the one file; None where the path is absent there.

    Raises UsageError where git cannot tell, and InventoryError for what no inventory may hold.
    """
    entries = _entries(asked)
    if not entries:
        yield None
        return
    _refuse(asked, entries)
    with TemporaryDirectory(prefix="auditor-") as folder:
        # Beyond the root of links that climb: what they lead to is refused above, and is not there in any case.
        root = FilePath(folder, "inventory", posixpath.basename(asked.path) if entries[0].name == "" else "root")
        _write(root, _needed(entries))
        yield root


def _entries(asked: Revision) -> list[_Entry]:
    tree = _tree(asked)
    if tree is None:
        return []
    listing = _git(asked, "--literal-pathspecs", "ls-tree", "-r", "-z", "-l", tree, "--", asked.path)
    entries = []
    for line in filter(None, listing.split(b"\0")):
        meta, _, name = line.partition(b"\t")
        mode, _, blob, size = meta.decode().split()
        below = posixpath.relpath(posixpath.normpath(os.fsdecode(name)), asked.path)
        kind = _KINDS.get(mode, _FILE)
        entries.append(_Entry(kind, blob, int(size) if size.isdigit() else 0, "" if below == "." else below))
    return entries


def _tree(asked: Revision) -> str | None:
    """The id of the revision's tree, None for the HEAD of a branch without any commit.

    Raises UsageError where there is no such revision, or no repository.
    """
    found = _run("rev-parse", "--verify", "--quiet", f"{asked.rev}^{{tree}}")
    if found.returncode == 0:
        return found.stdout.decode().strip()
    _git(asked, "rev-parse", "--git-dir")
    if asked.rev == "HEAD" and _run("symbolic-ref", "--quiet", "HEAD").returncode == 0:
        return None  # what the first commit is compared with, as by a hook
    branch = asked.rev.removeprefix("origin/")
    if ".." in branch or any(mark in branch for mark in "~^@"):  # a way to a commit, which cannot be fetched by it
        raise UsageError(
            f"{asked}: this repository has no one commit {asked.rev}; where the clone is shallow fetch the rest first: "
            "`git fetch --unshallow`; of two branches, name the commit that `git merge-base` tells"
        )
    raise UsageError(
        f"{asked}: this repository has no revision {asked.rev}; where the clone is shallow or has only its own branch, "
        f"fetch it first: `git fetch --depth=1 origin {branch}`, and name it FETCH_HEAD"
    )


def _git(asked: Revision, *arguments: str) -> bytes:
    """What git prints. Raises UsageError in git's own words where it fails."""
    done = _run(*arguments)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().removeprefix("fatal: ")
        lines = [clean(line.strip(), 300) for line in said.splitlines()] or [f"{arguments[0]} failed"]
        trust = next((line for line in lines if "safe.directory" in line), None)  # git's own advice, in any language
        advice = f"if you trust it: `{trust}`" if trust else "run this inside the repository, or give two paths"
        raise UsageError(f"{asked}: git says: {lines[0]}; {advice}")
    return done.stdout


def _run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed; install it, or give two paths") from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"git {arguments[0]} did not end within {_PATIENCE} s") from error


def _refuse(asked: Revision, entries: Sequence[_Entry]) -> None:
    """What the loader refuses in a folder, told of the revision: links out of it, and what git keeps elsewhere."""
    problems = []
    links = _contents([entry for entry in entries if entry.kind == _LINK])
    for entry in entries:
        message = None
        if entry.kind == _SUBMODULE:
            message = "is a submodule, whose files another repository keeps; put the files themselves here"
        elif entry.kind == _LINK and entry.name == "":
            message = "is a link; name what it leads to"
        elif entry.kind == _LINK and _leads_out(entry.name, os.fsdecode(links[entry.blob])):
            message = "is a link that leads out of the folder; put the file itself here"
        elif entry.name.split("/")[0] == "..":
            message = "is outside the folder"
        if message:
            problems.append(Problem(clean(f"{asked}/{entry.name}".rstrip("/"), 4096), 0, 0, "", message))
    if problems:
        raise InventoryError(problems)


def _leads_out(name: str, target: str) -> bool:
    end = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return posixpath.isabs(target) or end == ".." or end.startswith("../")


def _needed(entries: Sequence[_Entry]) -> list[_Entry]:
    """The files of the inventory; all files where links may lead to any of them."""
    linked = any(entry.kind == _LINK for entry in entries)
    return [one for one in entries if one.name == "" or linked or is_inventory_file(one.name)]


def _write(root: FilePath, entries: Sequence[_Entry]) -> None:
    if not entries or entries[0].name:
        root.mkdir(parents=True)  # the loader says what an empty folder lacks
    contents = _contents([entry for entry in entries if entry.size <= MAX_BYTES])
    for entry in entries:
        path = root / entry.name if entry.name else root
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == _LINK:
            path.symlink_to(os.fsdecode(contents[entry.blob]))
        elif entry.size > MAX_BYTES:  # the loader refuses it by its size
            with path.open("wb") as file:
                file.truncate(entry.size)
        else:
            path.write_bytes(contents[entry.blob])


def _contents(entries: Sequence[_Entry]) -> dict[str, bytes]:
    """The contents of blobs by their ids, from one git process."""
    blobs = list(dict.fromkeys(entry.blob for entry in entries))
    if not blobs:
        return {}
    found = {}
    with TemporaryFile() as asked:
        asked.write("".join(f"{blob}\n" for blob in blobs).encode())
        asked.seek(0)
        with subprocess.Popen(["git", "cat-file", "--batch"], stdin=asked, stdout=subprocess.PIPE) as git:
            stream = git.stdout
            for blob in blobs if stream else ():
                head = stream.readline().split() if stream else []
                if len(head) != 3 or stream is None:
                    raise UsageError(f"git cannot read the object {blob}; fetch it, as with `git fetch --refetch`")
                found[blob] = stream.read(int(head[2]))
                stream.read(1)
    return found
