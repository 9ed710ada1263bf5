"""What the command line of a saved scan says: the addresses that it was about, and those that it sent from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, ip_address, ip_network
from itertools import pairwise

from auditor.addresses import Members
from auditor.model.words import Address, Network

EXCLUDE_FILE = "--excludefile"
_EXCLUDE = "--exclude"
_MOST_FROM_ONE_WORD = 4096  # addresses; a larger network on an nmap command line is no list of what was meant
_TAKES_A_VALUE = frozenset(
    ("-S", "-D", "-g", "-e", "-b", "-p", "-sI", "-iL", "-oX", "-oN", "-oG", "-oA", "-oS", "--resume", "--proxies")
) | frozenset(
    (_EXCLUDE, EXCLUDE_FILE, "--exclude-ports", "--dns-servers", "--source-port", "--spoof-mac", "--ip-options")
)
_LAST_OCTETS = re.compile(r"(\d+\.\d+\.\d+\.)(\d{1,3})-(\d{1,3})")


def source_addresses(args: str) -> Iterator[Address]:
    """The source addresses that an nmap command line sets."""
    for option, value in pairwise(args.split()):
        if option == "-S":
            with suppress(ValueError):
                yield ip_address(value)


def meant(args: str) -> tuple[list[Address], frozenset[Address]]:
    """The addresses that an nmap command line names, as far as they are literal; apart, those that it excludes."""
    named: dict[Address, None] = {}
    less: list[str] = []
    previous = ""
    for word in args.split():
        if previous == _EXCLUDE:
            less += word.split(",")
        elif word.startswith(f"{_EXCLUDE}="):
            less += word.partition("=")[2].split(",")
        elif previous not in _TAKES_A_VALUE and not word.startswith("-"):
            named |= dict.fromkeys(_addresses(word))
        previous = word
    networks = Members(_networks(less))
    others = {address for word in less for address in _addresses(word)}
    excluded = frozenset(one for one in named if one in others or one in networks)
    return [one for one in named if one not in excluded], excluded


def _networks(words: Iterable[str]) -> Iterator[Network]:
    for word in words:
        with suppress(ValueError):
            yield ip_network(word, strict=False)


def _addresses(word: str) -> Iterator[Address]:
    if found := _LAST_OCTETS.fullmatch(word):
        first, last = int(found[2]), int(found[3])
        words = [f"{found[1]}{octet}" for octet in range(first, min(last, 255) + 1)]
    else:
        words = [word]
    for one in words:
        try:
            network = ip_network(one, strict=False)
        except ValueError:
            continue
        if network.num_addresses <= _MOST_FROM_ONE_WORD:
            yield from (
                (ip_address(int(network.network_address) + n) for n in range(network.num_addresses))
                if isinstance(network.network_address, IPv4Address)
                else network
            )
