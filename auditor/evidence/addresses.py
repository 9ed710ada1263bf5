"""The output of `ip -j address` (ip-address(8), iproute2) → the addresses that a host says it has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from auditor.errors import EvidenceError
from auditor.evidence.files import read_text
from auditor.model.words import Address

_MAKE_IT = "make the file with `ip -j address`"


class _DamagedError(Exception):
    """Something that `ip -j address` does not write."""


def read_addresses(path: Path) -> tuple[Address, ...]:
    """The addresses of a host, each once, in the order of the file, but for those of the loopback and of single links.

    Raises EvidenceError, which names the file, where it cannot be read.
    """
    text = read_text(path, "`ip`", _MAKE_IT)
    try:
        links = json.loads(text)
    except json.JSONDecodeError as error:
        raise EvidenceError(f"{path}:{error.lineno}: this is no JSON ({error.msg}); {_MAKE_IT}") from error
    except (RecursionError, ValueError) as error:
        raise EvidenceError(f"{path}: this is no output of `ip -j address`; {_MAKE_IT}") from error
    try:
        return tuple(dict.fromkeys(one for one in _addresses(links) if not (one.is_loopback or one.is_link_local)))
    except _DamagedError as error:
        raise EvidenceError(f"{path}: {error}; {_MAKE_IT}") from error


def _addresses(links: object) -> Iterator[Address]:
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        raise _DamagedError("this is no list of links")
    if not any("addr_info" in link for link in links):
        raise _DamagedError("no link in it has `addr_info`")
    for number, link in enumerate(links, 1):
        told = link.get("addr_info", [])  # some versions write an empty object for a link that they leave out
        for one in told if isinstance(told, list) else [told]:
            try:
                yield ip_address(one["local"] if isinstance(one["local"], str) else "")
            except (KeyError, TypeError, ValueError):
                raise _DamagedError(f"link {number} has an address that cannot be read") from None
