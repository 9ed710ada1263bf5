"""Which audits share a place, by real network namespaces: what the kernel knows them by counts, not their names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from lab.estate import Estate

from auditor.errors import TransportError
from auditor.model.inventory import NetnsVia
from auditor.transport.alone import alone

pytestmark = pytest.mark.live
ASKING = """
import sys
from auditor.errors import TransportError
from auditor.model.inventory import LocalVia, NetnsVia
from auditor.transport.alone import alone
via = NetnsVia(sys.argv[1]) if len(sys.argv) > 1 else LocalVia()
try:
    with alone({"vp": via}, "other", tell=print, warn=print):
        print("free")
except TransportError as error:
    print(error)
"""
# A lab of its own: names of namespaces are kept below /run, and this one has its own; all else is shared.
ELSEWHERE = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs lab /run && ip netns add al-here && exec "$@"', "lab")


@pytest.fixture(scope="module")
def held() -> Iterator[None]:
    """An audit from the namespace `al-here`."""
    with Estate() as built:
        built.namespace("al-here")
        built.namespace("al-there")
        with alone({"vp": NetnsVia("al-here")}, "estate", tell=print, warn=print):
            yield


def said(*argv: str, name: str = "") -> str:
    """What another process says that wants the namespace of that name, or the one that it is in."""
    ending = [name] if name else []
    asked = subprocess.run([*argv, sys.executable, "-c", ASKING, *ending], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


@pytest.mark.usefixtures("held")
def test_one_namespace_is_one_place() -> None:
    """By its name, and from within it, where it is `local`."""
    words = "viewpoint vp is in use by another audit"

    assert said(name="al-here").startswith(f"{words} (netns al-here): process ")
    assert said("ip", "netns", "exec", "al-here").startswith(f"{words} (local): process ")


@pytest.mark.usefixtures("held")
def test_other_namespaces_are_other_places() -> None:
    """Also one of the same name in another lab, beside this one."""
    assert "free" == said(name="al-there")
    assert "free" == said()
    assert "free" == said(*ELSEWHERE, name="al-here")


@pytest.mark.usefixtures("held")
def test_it_may_be_had_twice_by_nobody() -> None:
    """Not even by the process that has it."""
    again = alone({"x": NetnsVia("al-here")}, "e", tell=print, warn=print)
    with pytest.raises(TransportError, match="inventory estate"), again:
        pass
