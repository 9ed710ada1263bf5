"""An inventory as it is at a revision of a git repository: `git:REV:PATH`. Nothing is checked out or fetched."""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath
from pathlib import PurePosixPath
from tempfile import TemporaryDirectory, TemporaryFile

from auditor.errors import InventoryError, Problem, UsageError
from auditor.inventory.reading.files import MAX_BYTES, is_inventory_file
from auditor.inventory.reading.text import clean

_PREFIX = "git:"
_LITERALLY = ("--literal-pathspecs",)
_PATIENCE = 60  # seconds; reading a tree takes milliseconds
FILE, _LINK, _SUBMODULE = "file", "link", "submodule"
_KINDS = {"100644": FILE, "100664": FILE, "100755": FILE, "120000": _LINK, "160000": _SUBMODULE}
# What may not be there: the kind of fault, and the message
_SUBMODULE_HERE = "submodule", "is a submodule, whose files another repository keeps; put the files themselves here"
_LINK_HERE = "bad-link", "is a link; name what it leads to"
_LINK_OUT = "bad-link", "is a link that leads out of the folder; put the file itself here"
_ABOVE = "bad-link", "is outside the folder"


@dataclass(frozen=True, slots=True)
class Revision:
    """`path` is relative to the current folder, as git takes it there."""

    rev: str
    path: str

    def __str__(self) -> str:
        return f"{_PREFIX}{self.rev}:{self.path}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a tree. `name` is its path below what was asked for, "" where that is the entry itself."""

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
def copied(asked: Revision, *, may_be_elsewhere: bool = False) -> Iterator[FilePath | None]:
    """The inventory's files in a folder of their own, or the one file; None where the path is absent there.

    A folder without any file of an inventory is absent too where it `may_be_elsewhere`. Raises UsageError where git
    cannot tell, and InventoryError for what no inventory may hold.
    """
    entries = _entries(asked)
    if not entries or (may_be_elsewhere and all(one.name and not is_inventory_file(one.name) for one in entries)):
        yield None
        return
    _refuse(asked, entries)
    with TemporaryDirectory(prefix="auditor-") as folder:
        # Beyond the root of links that climb: what they lead to is refused above, and is not there in any case.
        root = FilePath(folder, "inventory", posixpath.basename(asked.path) if entries[0].name == "" else "root")
        _write(root, _needed(entries))
        yield root


def _entries(asked: Revision) -> list[Entry]:
    tree = _tree(asked)
    if tree is None:
        return []
    entries = _listed(_git(asked, *_LITERALLY, "ls-tree", "-r", "-z", "-l", tree, "--", asked.path), asked.path)
    if not entries:
        _refuse_behind(asked, tree)
    return entries


def _listed(listing: bytes, start: str) -> list[Entry]:
    """What `ls-tree -z -l` prints, by the paths below `start`."""
    entries = []
    for line in filter(None, listing.split(b"\0")):
        meta, _, name = line.partition(b"\t")
        mode, _, blob, size = meta.decode().split()
        below = posixpath.relpath(posixpath.normpath(os.fsdecode(name)), start)
        kind = _KINDS.get(mode, FILE)
        entries.append(Entry(kind, blob, int(size) if size.isdigit() else 0, "" if below == "." else below))
    return entries


def _refuse_behind(asked: Revision, tree: str) -> None:
    """What is below a submodule or a link is not absent: git does not look there. Raises InventoryError."""
    above = [str(parent) for parent in PurePosixPath(from_root(asked)).parents if parent.name]
    listing = _git(asked, *_LITERALLY, "ls-tree", "-z", "-l", "--full-tree", tree, "--", *above) if above else b""
    for entry in _listed(listing, "."):
        if entry.kind in (_LINK, _SUBMODULE):
            place = clean(f"{_PREFIX}{asked.rev}:{_from_here(asked, entry.name)}", 4096)
            fault, message = _SUBMODULE_HERE if entry.kind == _SUBMODULE else _LINK_HERE
            raise InventoryError([Problem(place, 0, 0, "", message, fault)])


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


def _refuse(asked: Revision, entries: Sequence[Entry]) -> None:
    """What the loader refuses in a folder, told of the revision: links out of it, and what git keeps elsewhere."""
    problems = []
    links = contents([entry for entry in entries if entry.kind == _LINK])
    for entry in entries:
        wrong = None
        if entry.kind == _SUBMODULE:
            wrong = _SUBMODULE_HERE
        elif entry.kind == _LINK and entry.name == "":
            wrong = _LINK_HERE
        elif entry.kind == _LINK and _leads_out(entry.name, os.fsdecode(links[entry.blob])):
            wrong = _LINK_OUT
        elif entry.name.split("/")[0] == "..":
            wrong = _ABOVE
        if wrong:
            fault, message = wrong
            problems.append(Problem(clean(f"{asked}/{entry.name}".rstrip("/"), 4096), 0, 0, "", message, fault))
    if problems:
        raise InventoryError(problems)


def _leads_out(name: str, target: str) -> bool:
    end = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    return posixpath.isabs(target) or end == ".." or end.startswith("../")


def _needed(entries: Sequence[Entry]) -> list[Entry]:
    """The files of the inventory; all files where links may lead to any of them."""
    linked = any(entry.kind == _LINK for entry in entries)
    return [one for one in entries if one.name == "" or linked or is_inventory_file(one.name)]


def _write(root: FilePath, entries: Sequence[Entry]) -> None:
    if not entries or entries[0].name:
        root.mkdir(parents=True)  # the loader says what an empty folder lacks
    found = contents([entry for entry in entries if entry.size <= MAX_BYTES])
    for entry in entries:
        path = root / entry.name if entry.name else root
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == _LINK:
            path.symlink_to(os.fsdecode(found[entry.blob]))
        elif entry.size > MAX_BYTES:  # the loader refuses it by its size
            with path.open("wb") as file:
                file.truncate(entry.size)
        else:
            path.write_bytes(found[entry.blob])


def everything(asked: Revision) -> list[Entry]:
    """All that the revision has, by paths from the repository's root; nothing before the first commit.

    A tree that was made by hand may name what is above it. That is left out, as it is nowhere in the repository.
    """
    tree = _tree(asked)
    entries = [] if tree is None else _listed(_git(asked, "ls-tree", "-r", "-z", "-l", "--full-tree", tree), ".")
    return [entry for entry in entries if entry.name.split("/")[0] != ".."]


def from_root(asked: Revision) -> str:
    """The path from the repository's root. It begins with `..` where it is outside of the repository."""
    return posixpath.normpath(posixpath.join(_here(asked), asked.path))


def at_root_path(asked: Revision, path: str) -> Revision:
    """The same revision at another path, which is given from the repository's root."""
    return Revision(asked.rev, _from_here(asked, path))


def _from_here(asked: Revision, path: str) -> str:
    return posixpath.relpath(path, _here(asked) or ".")


def _here(asked: Revision) -> str:
    """The current folder from the repository's root, "" where it is that."""
    return os.fsdecode(_git(asked, "rev-parse", "--show-prefix")).removesuffix("\n").rstrip("/")


def work_tree() -> FilePath | None:
    """Where the files are checked out; None where there are none."""
    found = _run("rev-parse", "--show-toplevel")
    return None if found.returncode else FilePath(os.fsdecode(found.stdout).removesuffix("\n"))


def not_checked_out() -> set[str]:
    """Files that are no less part of the work tree for not being on the disk, as a sparse checkout leaves them out."""
    listing = _run("ls-files", "-z", "-t", "--full-name", "--", ":/").stdout.split(b"\0")
    return {os.fsdecode(line[2:]) for line in listing if line.startswith(b"S ")}


def renamed(gone: Mapping[str, bytes], come: Mapping[str, bytes]) -> set[str]:
    """Which of the files that are gone git takes for one of those that have come: its contents are the same by half."""
    alike = ("--find-renames=50%", f"-l{max(len(gone), len(come))}", "--diff-filter=R")
    with TemporaryDirectory(prefix="auditor-") as folder:
        old, new = FilePath(folder, "old"), FilePath(folder, "new")
        for side, files in ((old, gone), (new, come)):
            side.mkdir()
            for name, content in files.items():
                path = side / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        told = _run("diff", "--no-index", "--raw", "--no-ext-diff", "-z", *alike, "--", str(old), str(new))
    if told.returncode not in (0, 1):  # 1: they differ
        raise UsageError(f"git diff failed: {clean(told.stderr.decode(errors='replace'), 300)}")
    fields = told.stdout.split(b"\0")  # status, from, to
    return {os.fsdecode(name).removeprefix(f"{old}/") for name in fields[1::3]}


def contents(entries: Sequence[Entry]) -> dict[str, bytes]:
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
