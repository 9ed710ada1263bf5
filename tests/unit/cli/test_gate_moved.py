"""What a change of the inventory does to exposure where it moves the inventory too, in real repositories."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.unit.inventory.reading.test_revisions import ESTATE, HOSTS, OPEN, Repository, refused

WHOLE = ESTATE + HOSTS.removeprefix("version: 1\n")
NEW = """\
version: 1
hosts: {printer: {interfaces: {lan: [203.0.113.99]}}}
name: new
x-note: what is here is like nothing else
scope: {allow: [203.0.113.99]}
"""
NO_INVENTORY = """\
services:
  shop: {image: shop}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """An inventory in a folder and another in a file, beside files that are of none; a branch for the change."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    found = Repository(tmp_path / "repository")
    found.write(
        inventories__shop__estate_yaml=ESTATE,
        inventories__shop__hosts__db_yaml=HOSTS,
        inventories__one_yaml=WHOLE.replace("shop", "one").replace("db-1", "one-1"),
        compose_yaml=NO_INVENTORY,
        package_json='{"name": "shop", "version": "1.0.0"}',
    )
    found.commit()
    found.git("checkout", "--quiet", "-b", "change")
    monkeypatch.chdir(found.path)
    return found


def of_gate(repository: Repository, head: str, *more: str) -> tuple[int, str, list[str]]:
    """The exit code, where BASE was found, and the kinds; the same whether HEAD is checked out or a commit."""
    told = []
    for side in (head, f"git:change:{head}"):
        code, document = repository.gate(f"git:main:{head}", side, *more)
        assert f"git:main:{head}" == document["gate"]["base"]["asked"]
        told.append((code, document["gate"]["base"]["path"], [finding["kind"] for finding in document["findings"]]))
    assert told[0] == told[1]
    return told[0]


def test_a_folder(repository: Repository) -> None:
    """A folder that is renamed is what it was: what the change opens beside that is widened, not added."""
    repository.git("mv", "inventories/shop", "estates")
    repository.commit()
    assert (0, "git:main:inventories/shop", []) == of_gate(repository, "estates")

    repository.write(estates__hosts__db_yaml=OPEN)
    repository.commit()

    assert (1, "git:main:inventories/shop", ["widened"]) == of_gate(repository, "estates")
    assert (1, "git:main:inventories/shop", ["widened"]) == of_gate(repository, "estates", "--new")


def test_a_folder_above(repository: Repository) -> None:
    """So is one whose parent is renamed, while another goes with it."""
    repository.git("mv", "inventories", "estates")
    repository.commit()

    assert (0, "git:main:inventories/shop", []) == of_gate(repository, "estates/shop")
    assert (0, "git:main:inventories/one.yaml", []) == of_gate(repository, "estates/one.yaml")


def test_a_file(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """So is a file, and one that is renamed and loses a host is audited less."""
    repository.git("mv", "inventories/one.yaml", "main.yaml")
    repository.commit()
    assert (0, "git:main:inventories/one.yaml", []) == of_gate(repository, "main.yaml")

    repository.write(main_yaml=WHOLE.replace("shop", "one").replace("db-1", "one-2").replace(".12", ".13"))
    repository.commit()
    code, base, kinds = of_gate(repository, "main.yaml")
    told = capsys.readouterr().out

    assert (1, "git:main:inventories/one.yaml", {"added", "removed", "weakened"}) == (code, base, set(kinds))
    assert "\nThe inventory was moved: at git:main:main.yaml there is none.\n" in told


def test_split(repository: Repository) -> None:
    """A file that becomes a folder of parts, none of which is like it, is known by its name alone."""
    repository.git("rm", "--quiet", "inventories/one.yaml")
    repository.write(
        inventories__one__estate_yaml=ESTATE.replace("shop", "one"),
        inventories__one__hosts_yaml=HOSTS.replace("db-1", "one-1"),
    )
    repository.commit()
    assert (0, "git:main:inventories/one.yaml", []) == of_gate(repository, "inventories/one")

    repository.write(inventories__one__hosts_yaml=OPEN.replace("db-1", "one-1"))
    repository.commit()

    assert (1, "git:main:inventories/one.yaml", ["widened"]) == of_gate(repository, "inventories/one")


def test_made_one_file(repository: Repository) -> None:
    """A folder that becomes one file is compared whole, though only one of its files is like that."""
    repository.git("mv", "inventories/shop/hosts/db.yaml", "shop.yaml")
    repository.git("rm", "--quiet", "-r", "inventories/shop")
    repository.write(shop_yaml=WHOLE)
    repository.commit()

    assert (0, "git:main:inventories/shop", []) == of_gate(repository, "shop.yaml")


def test_not_committed(repository: Repository) -> None:
    """What is moved on the disk, whether or not git was told of it, is moved."""
    (repository.path / "inventories" / "shop").rename(repository.path / "estates")
    code, document = repository.gate("git:HEAD:estates", "estates")

    assert (0, "git:HEAD:inventories/shop") == (code, document["gate"]["base"]["path"])


def test_beside_other_files(repository: Repository) -> None:
    """A folder that was there without an inventory may get one from elsewhere."""
    repository.write(estates__read_me="nothing")
    repository.commit()
    repository.git("branch", "--force", "main")
    repository.git("mv", "inventories/shop/estate.yaml", "inventories/shop/hosts", "estates")
    repository.commit()

    assert (0, "git:main:inventories/shop", []) == of_gate(repository, "estates")


def test_a_link_in_its_old_place(repository: Repository) -> None:
    """A link that leads from the old place to the new one keeps nothing there."""
    repository.git("mv", "inventories/shop", "estates")
    (repository.path / "inventories" / "shop").symlink_to("../estates")
    repository.commit()

    assert (0, "git:main:inventories/shop", []) == of_gate(repository, "estates")


def test_from_a_folder_below(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the command runs changes names alone."""
    repository.git("mv", "inventories/shop", "estates")
    repository.commit()
    monkeypatch.chdir(repository.path / "inventories")

    assert (0, "git:main:shop", []) == of_gate(repository, "../estates")


def test_in_another_work_tree(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second work tree of the repository is as good as the first."""
    repository.git("worktree", "add", "--quiet", "-b", "second", str(tmp_path / "second"))
    monkeypatch.chdir(tmp_path / "second")
    Path("inventories/shop").rename("estates")
    code, document = repository.gate("git:main:estates", "estates")

    assert (0, "git:main:inventories/shop") == (code, document["gate"]["base"]["path"])


def test_a_sparse_checkout(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not checked out is not gone."""
    repository.write(new__estate_yaml=ESTATE.replace("shop", "new"), new__hosts_yaml=HOSTS)
    repository.commit()
    repository.git("sparse-checkout", "set", "new")
    assert not (repository.path / "inventories" / "shop").exists()

    code, document = repository.gate("git:main:new", "new", "--new")

    assert (0, []) == (code, document["gate"]["base"]["files"])
    assert "say so by --new" in refused(capsys, "git:main:new", "new")


def test_a_shallow_clone(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two commits without their history suffice."""
    repository.git("mv", "inventories/shop", "estates")
    repository.commit()
    clone = Repository(tmp_path / "clone")
    clone.git("remote", "add", "origin", repository.path.as_uri())
    revision = repository.git("rev-parse", "main")
    for wanted in (revision, "change"):
        clone.git("fetch", "--quiet", "--depth=1", "origin", wanted)
    clone.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
    monkeypatch.chdir(clone.path)
    code, document = clone.gate(f"git:{revision}:estates", "estates")

    assert (0, f"git:{revision}:inventories/shop") == (code, document["gate"]["base"]["path"])


@pytest.mark.parametrize("new", [(), ("--new",)])
def test_untold(new: tuple[str, ...], repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Where an inventory is gone and neither git nor a name tells that it is HEAD, none is chosen: all are named."""
    repository.git("rm", "--quiet", "-r", "inventories")
    repository.write(new_yaml=NEW)
    repository.commit()

    assert (
        "git:main:new.yaml: there is no inventory, and which one became HEAD cannot be told; gone since are "
        "git:main:inventories/one.yaml (`one`), git:main:inventories/shop (`shop`); name the one that it was"
    ) in refused(capsys, "git:main:new.yaml", "new.yaml", *new)


def test_git_and_names_disagree(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither is believed against the other."""
    repository.git("mv", "inventories/one.yaml", "main.yaml")
    repository.git("rm", "--quiet", "-r", "inventories/shop")
    repository.write(main_yaml=WHOLE.replace("db-1", "one-1"))  # one's file, under shop's name
    repository.commit()

    assert "which one became HEAD cannot be told" in refused(capsys, "git:main:main.yaml", "main.yaml", "--new")


def test_names_decide_between_likenesses(repository: Repository) -> None:
    """Of two that git takes for parts of HEAD, which was made of both, its name tells."""
    repository.git("mv", "inventories/shop", "estates")
    repository.git("mv", "inventories/one.yaml", "estates/hosts/one.yaml")
    repository.write(estates__hosts__one_yaml=HOSTS.replace("db-1", "one-1").replace(".12", ".13"))
    repository.commit()

    assert (0, "git:main:inventories/shop", ["added"]) == of_gate(repository, "estates")


def test_a_part_that_moved(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """What takes over a file of an inventory that goes on is not that inventory; it is new where that is said."""
    repository.write(inventories__shop__hosts__web_yaml=HOSTS.replace("db-1", "web-1").replace(".12", ".13"))
    repository.commit()
    repository.git("branch", "--force", "main")
    repository.git("mv", "inventories/shop/hosts/web.yaml", "web.yaml")
    repository.write(web__estate_yaml=ESTATE.replace("shop", "web"))
    (repository.path / "web.yaml").rename(repository.path / "web" / "hosts.yaml")
    repository.commit()
    code, document = repository.gate("git:main:web", "web", "--new")

    assert (0, ["added"]) == (code, [finding["kind"] for finding in document["findings"]])
    assert "say so by --new" in refused(capsys, "git:main:web", "web")


def test_files_that_are_no_inventory(repository: Repository) -> None:
    """Other files that go, of whatever name, are no inventory that may have been moved."""
    repository.git("rm", "--quiet", "compose.yaml", "package.json")
    repository.write(new_yaml=NEW)
    repository.commit()
    code, document = repository.gate("git:main:new.yaml", "new.yaml", "--new")

    assert (0, []) == (code, document["gate"]["base"]["files"])


def test_a_tree_that_climbs(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that a tree made by hand names can be written outside of where it is read."""
    scratch = tmp_path / "scratch" / "a" / "b"
    scratch.mkdir(parents=True)
    (tmp_path / "evil").write_text(WHOLE)
    tree = f"100644 blob {repository.git('hash-object', '-w', str(tmp_path / 'evil'))}\tevil.yaml"
    for _ in range(3):
        made = subprocess.run(
            ["git", "mktree"], cwd=repository.path, input=f"{tree}\n", capture_output=True, text=True, check=True
        )
        tree = f"040000 tree {made.stdout.strip()}\t.."
    commit = repository.git("commit-tree", "-m", "climbs", made.stdout.strip())
    repository.write(new_yaml=NEW)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    code, document = repository.gate(f"git:{commit}:new.yaml", "new.yaml", "--new")

    assert (0, []) == (code, document["gate"]["base"]["files"])
    assert [] == list(tmp_path.rglob("evil.yaml"))


def test_outside_of_the_repository(repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What became of a HEAD that no repository has cannot be told; --new may say it."""
    (tmp_path / "elsewhere.yaml").write_text(WHOLE)
    path = str(tmp_path / "elsewhere.yaml")
    code, _ = repository.gate("git:main:elsewhere.yaml", path, "--new")

    assert 0 == code
    assert "say so by --new" in refused(capsys, "git:main:elsewhere.yaml", path)


def test_too_much_is_gone(repository: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    """A change that takes away thousands of files is not searched for an inventory, and is no verdict."""
    repository.write(**{f"k8s__{number}_yaml": NO_INVENTORY for number in range(2_001)})
    repository.commit()
    repository.git("branch", "--force", "main")
    repository.git("rm", "--quiet", "-r", "k8s")
    repository.write(new_yaml=NEW)
    repository.commit()

    assert "of 2,001 files that are gone it cannot be told" in refused(capsys, "git:main:new.yaml", "new.yaml", "--new")
