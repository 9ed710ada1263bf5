"""How a command talks, and who scans for it: options as they are read."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import click


def clean(text: str) -> str:
    """Text without control, formatting and bidirectional characters, which could rewrite a terminal; lines stay."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs"))


def say(message: str) -> None:
    """Tell the user on stderr, each line marked as ours."""
    click.echo("\n".join(f"auditor: {clean(line)}" for line in message.splitlines()), err=True)


@dataclass(frozen=True, slots=True)
class Style:
    """How a command talks. `verbosity` is -1 for warnings only, 0 for messages, 1 for everything."""

    verbosity: int
    color: str  # auto, always, never

    @property
    def forced_color(self) -> bool | None:
        """True or False where the user or NO_COLOR (https://no-color.org) decided; None leaves it to the terminal."""
        if self.color != "auto":
            return self.color == "always"
        return False if os.environ.get("NO_COLOR") else None

    def tell(self, message: str) -> None:
        """What no verdict hangs on: `say` it, unless only warnings are wanted."""
        if self.verbosity >= 0:
            say(message)


@dataclass(frozen=True, slots=True)
class Engine:
    """Who scans, as the command line says it."""

    name: str
    scheduler: str | None
    tls_ca: Path | None
    tls_cert: Path | None
    tls_key: Path | None
