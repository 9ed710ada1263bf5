"""What the README says is so."""

from __future__ import annotations

import re
from pathlib import Path

from click.testing import CliRunner

from auditor.cli.main import cli
from auditor.inventory.loading import load
from auditor.inventory.resolving.policy import breaches

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_help_is_the_real_one():
    """The help text in the README is what the command prints."""
    shown = re.search(r"<!-- help -->\n```\n(.*?)```\n<!-- /help -->", README, re.DOTALL)
    printed = CliRunner().invoke(cli, ["--help"], prog_name="auditor").output

    assert shown is not None
    assert shown[1] == printed


def test_every_file_it_names_exists():
    """Recipes and links name files that are there."""
    linked = re.findall(r"\]\(([^)#:]+)\)", README)
    named = re.findall(r"`((?:auditor|tests|script|inventories|schemas)/[^`*<>…= ]*)`", README)
    missing = [name for name in linked + named if not (ROOT / name).exists()]

    assert missing == []
    assert len(linked + named) > 10


def test_its_inventory_is_valid(tmp_path):
    """The example inventory loads as it stands, and with the example of waivers and policy below it breaks no rule."""
    inventory, accepted = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[:2]
    path = tmp_path / "shop.yaml"
    path.write_text(inventory + accepted)
    shop = load(path)

    assert ("shop", 1, 2) == (shop.name, len(shop.waivers), len(shop.policy.forbid))
    assert () == breaches(shop)


def test_links_lead_to_headings():
    """What the README points to in the reference is there."""
    reference = (ROOT / "docs" / "inventory.md").read_text(encoding="utf-8")
    headings = {found.lower().replace(" ", "-") for found in re.findall(r"^#+ (.+)$", reference, re.MULTILINE)}
    linked = set(re.findall(r"\]\(docs/inventory\.md#([^)]+)\)", README))

    assert linked
    assert set() == linked - headings


def test_the_strict_example_passes():
    """The inventory that shows `--strict -q` has nothing to be told of, as the comment beside it promises."""
    (shown,) = re.findall(r"^auditor (validate \S+ --strict -q) ", README, re.MULTILINE)
    command, path, *options = shown.split()
    done = CliRunner().invoke(cli, [command, str(ROOT / path), *options], standalone_mode=False)

    assert (0, "") == (done.return_value, done.output)
