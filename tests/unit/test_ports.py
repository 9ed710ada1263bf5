"""Port sets, and ports as people write them."""

from __future__ import annotations

import pytest

from auditor.inventory.reading.literals import ports
from auditor.model.ports import ALL_PORTS, PortSet


def test_text_both_ways() -> None:
    """nmap's notation is read and written, runs merged."""
    assert str(PortSet.parse("65535,80-90,91,22")) == "22,80-91,65535"
    assert str(PortSet.parse("")) == ""
    assert str(PortSet.parse("65535,0,9,9,,1024")) == "0,9,1024,65535"
    assert str(ALL_PORTS) == "1-65535"


@pytest.mark.parametrize("text", ["a", "1-", "-1", "65536", "1,65536", "9-8", "1--2"])
def test_what_is_no_port_range(text: str) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        PortSet.parse(text)


@pytest.mark.parametrize("numbers", [(-1,), (5, -1)])
def test_no_port_is_negative(numbers: tuple[int, ...]) -> None:
    """Neither alone nor beside others."""
    with pytest.raises(ValueError, match=r".+"):
        PortSet.of(*numbers)


def test_of_nothing() -> None:
    """The empty set is false, has no first port, and no members."""
    empty = PortSet()

    assert (bool(empty), empty.first, len(empty), list(empty)) == (False, -1, 0, [])


def test_repr_of_every_port() -> None:
    """Debugging output works for sets of any size."""
    assert repr(ALL_PORTS) == "PortSet('1-65535')"


def test_algebra() -> None:
    """Union, intersection and difference are those of sets."""
    one, other = PortSet.of(1, 2, 3), PortSet.span(3, 5)

    assert list(one | other) == [1, 2, 3, 4, 5]
    assert list(one & other) == [3]
    assert list(one - other) == [1, 2]
    assert PortSet.of(1, 2, 3, 4, 5) == PortSet.union([one, other])
    assert (other.first, 4 in other, 6 in other) == (3, True, False)


def test_as_people_write_them() -> None:
    """Ports come apart by protocol."""
    tcp, udp = ports(("80/tcp", "443/tcp", "6000-6010/tcp", "53/udp", "65535/udp", "1/udp"))

    assert (str(tcp), str(udp)) == ("80,443,6000-6010", "1,53,65535")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0/tcp", "outside the ports that there are"),
        ("65536/udp", "outside the ports that there are"),
        ("1-70000/tcp", "outside the ports that there are"),
        ("90-80/tcp", "write `80-90/tcp`"),
        ("80", "write them as"),
        ("80/sctp", "write them as"),
        ("80/tcp ", "write them as"),
        ("٨٠/tcp", "write them as"),
        ("-1/tcp", "write them as"),
    ],
)
def test_wrong_ports_are_told(text: str, message: str) -> None:
    """What is wrong with them is said, and what would be right."""
    with pytest.raises(ValueError, match=message):
        ports((text,))


def test_many_ranges_in_any_order_are_read_alike() -> None:
    """nmap writes them ascending and apart; whoever else may repeat and overlap them."""
    parts = [f"{first}-{first + 30}" for first in range(1, 2000, 25)]
    one_by_one = PortSet.union(map(PortSet.parse, parts))

    assert one_by_one == PortSet.parse(",".join(parts)) == PortSet.parse(",".join([*reversed(parts), *parts]))
    assert "1,65535" == str(PortSet.parse(",".join(["1", "65535"] * 10)))
