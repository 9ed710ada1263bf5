"""Names of files as a repository names them, wherever a command runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from auditor.report.facts import files, relative, within


def from_root(document: dict[str, Any]) -> dict[str, Any]:
    """A copy of the document that names the inventory's files from the repository's root.

    That is the repository in which the command runs, or where the inventory is in none of it, the inventory's own; from
    here where there is none. What a document that was stored elsewhere calls relative stays so.
    """
    here, name = Path.cwd(), files(document)[0]
    file, root = _whole(here / within(name)), _repository(here)
    if not file.exists():
        if root and (root / within(name)).exists():
            here, file = root, root / within(name)  # as it was called from there
        elif name == within(name):
            return document
    if root is None or not file.is_relative_to(root):
        root = _repository(file.parent)
    found: dict[str, Any] = relative(document, root or here, here)
    return found


def _whole(path: Path) -> Path:
    """Without `..`, by its name alone: links are how the user and the repository name things."""
    return Path(os.path.normpath(path))


def _repository(folder: Path) -> Path | None:
    """The nearest folder above that git keeps, by its `.git`, a folder or, of another work tree, a file."""
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)
