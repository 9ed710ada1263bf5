"""What all tests share: the lab on the import path, and the rules of live tests."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "script")]

from lab import enter  # noqa: E402  # found through the line above

settings.register_profile("any machine", deadline=None)  # a busy machine takes long over an example that is right
settings.load_profile("any machine")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A live test outside a lab fails: skipped it would look like a pass, and run it could reach a real network."""
    if item.get_closest_marker("live") and not enter.isolated():
        pytest.fail(
            "live tests run inside a lab: PYTHONPATH=script python3 -m lab.enter pytest tests/live", pytrace=False
        )


def pytest_configure(config: pytest.Config) -> None:
    """What audits remember of this machine is not this user's. The tests of what is shipped need pip's own cache."""
    if config.getoption("markexpr") != "ci":
        folder = tempfile.mkdtemp(prefix="auditor-cache-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ["XDG_CACHE_HOME"] = folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked `long`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Live tests come first, since they wait for most of their time, and others can run meanwhile.

    Browser tests come last: Playwright keeps an event loop running, and no other test could start one beside it. Long
    tests are left out unless asked for, whatever `-m` says.
    """
    if not config.getoption("--long"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    items.sort(key=lambda item: (bool(item.get_closest_marker("browser")), not item.get_closest_marker("live")))


@pytest.fixture(scope="session", autouse=True)
def own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Audits of one test see each other, and neither those of tests beside it nor any of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDITOR_LOCKS", str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(scope="session")
def newer_nmap() -> Path:
    """A newer nmap than the installed one; the test fails where there is none, and needs the marker `newer`."""
    path = ROOT / ".cache" / "newer-nmap" / "bin" / "nmap"
    if not path.exists():
        pytest.fail("there is no newer nmap here; script/newer-nmap gets it", pytrace=False)
    return path


@pytest.fixture
def newer_nmap_first(newer_nmap: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, first in the PATH."""
    monkeypatch.setenv("PATH", f"{newer_nmap.parent}{os.pathsep}{os.environ['PATH']}")
    return newer_nmap


@pytest.fixture(scope="session")
def program() -> object:
    """Finds a program that a test needs; the test fails where it is missing."""

    def find(name: str) -> str:
        path = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        if path is None:
            pytest.fail(f"{name} is not installed; script/test installs it", pytrace=False)
        return path

    return find
