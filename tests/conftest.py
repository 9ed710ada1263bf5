"""What all tests share: the lab on the import path, and the rules of live tests."""

from __future__ import annotations

import shutil
import sys
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: Playwright keeps an event loop running, and no other test could start one beside it."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def program() -> object:
    """Finds a program that a test needs; the test fails where it is missing."""

    def find(name: str) -> str:
        path = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        if path is None:
            pytest.fail(f"{name} is not installed; script/test installs it", pytrace=False)
        return path

    return find
