"""Files, folders and how they become one inventory."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from auditor.errors import InventoryError
from auditor.inventory.loading import load
from auditor.inventory.reading.files import MAX_BYTES
from tests.commands import AUDITOR

HEAD = "version: 1\nname: case\nscope: {allow: [10.0.0.0/8]}\n"
HOST = "version: 1\nhosts: {a: {interfaces: {lan: [10.0.0.1]}}}\n"


def problems(path: Path) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        load(path)
    return [f"{Path(one.file).name}:{one.line} {one.path}: {one.message}" for one in caught.value.problems]


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_name(path.name.replace("_", "."))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_folder_is_one_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every .yaml, .yml and .json below counts, sorted, with its path as given and its hash; nothing else does."""
    monkeypatch.chdir(tmp_path)
    write(
        Path("inv"),
        b_yaml=HOST,
        a_yml=HEAD,
        sub__c_json='{"version": 1, "hosts": {"b": {"interfaces": {"lan": ["10.0.0.2"]}}}}',
        readme_md="not: [yaml",
    )

    inventory = load(Path("inv"))

    assert [file.path for file in inventory.files] == ["inv/a.yml", "inv/b.yaml", "inv/sub/c.json"]
    assert hashlib.sha256(HOST.encode()).hexdigest() == inventory.files[1].sha256
    assert list(inventory.hosts) == ["a", "b"]
    assert str(inventory.hosts["a"].location) == "inv/b.yaml:2"


def test_byte_order_mark(tmp_path: Path) -> None:
    """A file that an editor began with a byte order mark is read as if it had none."""
    (tmp_path / "a.json").write_bytes(
        b"\xef\xbb\xbf" + b'{"version": 1, "hosts": {"a": {"interfaces": {"l": ["10.0.0.1"]}}}}'
    )
    write(tmp_path, b_yaml=HEAD)

    assert list(load(tmp_path).hosts) == ["a"]


def test_a_key_in_two_files(tmp_path: Path) -> None:
    """What two files both have is an error that names both places."""
    write(tmp_path, a_yaml=HEAD, b_yaml=HOST, c_yaml=HOST + "name: other\nscope: {allow: [10.0.0.0/8]}\n")

    assert [
        f"c.yaml:2 hosts.a: is in {tmp_path}/b.yaml:2 too; keep one",
        f"c.yaml:3 name: is in {tmp_path}/a.yaml:2 too; keep one",
        f"c.yaml:4 scope: is in {tmp_path}/a.yaml:3 too; keep one",
    ] == problems(tmp_path)


def test_each_file_has_a_version(tmp_path: Path) -> None:
    """`version` is required in each file, `name` and `scope` in exactly one."""
    write(tmp_path, a_yaml="version: 1\n", b_yaml=HOST.removeprefix("version: 1\n"))

    assert [
        f"{tmp_path.name}:0 name: `name` is missing: exactly one file of an inventory has it",
        f"{tmp_path.name}:0 scope: `scope` is missing: exactly one file of an inventory has it",
        "b.yaml:1 : `version` is missing, such as `1`",
    ] == problems(tmp_path)


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    """Neither a file nor a folder elsewhere gets in by a link; loops and dead ends do no harm."""
    inside = write(tmp_path / "in", a_yaml=HEAD, b_yaml=HOST)
    outside = write(tmp_path / "out", c_yaml=HOST)
    (inside / "file.yaml").symlink_to(outside / "c.yaml")
    (inside / "folder").symlink_to(outside)
    (inside / "again.yaml").symlink_to("b.yaml")
    (inside / "loop").symlink_to(inside)
    (inside / "self.yaml").symlink_to("self.yaml")
    (inside / "dead.yaml").symlink_to("nowhere")

    assert problems(inside) == [
        "dead.yaml:0 : is a link that leads nowhere; remove it",
        "file.yaml:0 : is a link that leads out of the folder; put the file itself here",
        "folder:0 : is a link that leads out of the folder; put the file itself here",
        "self.yaml:0 : is a link that leads nowhere; remove it",
    ]


def test_links_within_the_folder(tmp_path: Path) -> None:
    """A link to a file that is read anyway adds nothing; one to a file of another name is read through it."""
    write(tmp_path, a_yaml=HEAD, data__b_txt=HOST)
    (tmp_path / "again.yaml").symlink_to("a.yaml")
    (tmp_path / "b.yaml").symlink_to("data/b.txt")

    assert [Path(file.path).name for file in load(tmp_path).files] == ["a.yaml", "b.yaml"]


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    """Only regular files of a folder are opened."""
    write(tmp_path, a_yaml=HEAD + HOST.removeprefix("version: 1\n"))
    os.mkfifo(tmp_path / "pipe.yaml")

    assert problems(tmp_path) == ["pipe.yaml:0 : is no regular file; put a file here"]


def test_unreadable_paths(tmp_path: Path) -> None:
    """A path that is not there, an empty folder, and a name that no system call takes are errors like others."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(InventoryError, match=r"gone\.yaml: there is no .* `auditor init` .* \[no-such-file\]"):
        load(tmp_path / "gone.yaml")
    assert problems(tmp_path / "empty") == ["empty:0 : holds no .yaml, .yml or .json file"]
    assert problems(tmp_path / "a\x00b") == ["a\\x00b:0 : cannot be read: its name holds a NUL character"]


def test_the_column_of_what_is_not_utf_8(tmp_path: Path) -> None:
    """It is counted in characters, as everywhere and as editors count; a byte order mark is none."""
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf# \xc3\xa9\n# \xc3\xa9\xc3\xa9 \xe9\n")

    with pytest.raises(InventoryError, match=r"a\.yaml:2:6: is not UTF-8 text; save it as UTF-8 \[not-utf-8\]"):
        load(tmp_path / "a.yaml")


def test_encodings(tmp_path: Path) -> None:
    """A byte-order mark is fine; what is not UTF-8 is an error with its place."""
    whole = (HEAD + HOST.removeprefix("version: 1\n")).encode()
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + whole)
    (tmp_path / "latin.yaml").write_bytes(whole + b"# caf\xe9\n")
    (tmp_path / "utf16.yaml").write_bytes(whole.decode().encode("utf-16"))

    assert load(tmp_path / "bom.yaml").name == "case"
    assert problems(tmp_path / "latin.yaml") == ["latin.yaml:5 : is not UTF-8 text; save it as UTF-8"]
    assert problems(tmp_path / "utf16.yaml") == ["utf16.yaml:1 : is not UTF-8 text; save it as UTF-8"]


def test_size_limit(tmp_path: Path) -> None:
    """A file over the limit is not parsed at all."""
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)

    assert problems(path) == ["big.yaml:0 : is over the size limit of 64 MiB; split it into several files of a folder"]


def test_one_broken_file_does_not_make_names_unknown(tmp_path: Path) -> None:
    """Where a file cannot be read at all, nothing is called unknown that it may declare."""
    service = "{s: {ports: 1/tcp, from: [office], behind: x.y}}"
    host = f"hosts: {{a: {{roles: [r], members: [z], interfaces: {{lan: [10.0.0.1]}}, services: {service}}}}}\n"
    write(tmp_path, a_yaml="version: 1\n" + host, b_yaml="version: 1\nranges: {office: [\n")

    assert sorted({message.split(":")[0] for message in problems(tmp_path)}) == ["b.yaml"]


def test_json_may_write_a_character_as_two(tmp_path: Path) -> None:
    """As every JSON library does with what lies beyond the basic plane."""
    data = {
        "version": 1,
        "name": "case",
        "scope": {"allow": ["10.0.0.0/8"]},
        "hosts": {"a": {"owner": "\U0001f600 \\ud83d", "interfaces": {"lan": ["10.0.0.1"]}}},
    }
    path = tmp_path / "inventory.JSON"
    path.write_text(json.dumps(data), encoding="utf-8")

    assert "\\ud83d\\ude00" in path.read_text()
    assert load(tmp_path).hosts["a"].owner == "\U0001f600 \\ud83d"


def test_a_file_found_by_two_paths_counts_once(tmp_path: Path) -> None:
    """A link to a file of the folder is that file."""
    write(tmp_path, a_yaml=HEAD, b_yaml=HOST)
    (tmp_path / "c.yaml").symlink_to(tmp_path / "b.yaml")

    assert len(load(tmp_path).files) == 2


def test_policy_is_in_one_file(tmp_path: Path) -> None:
    """At most one file has it, also while this version does not support it."""
    write(tmp_path, a_yaml=HEAD + "policy: {require: [owner]}\n", b_yaml=HOST + "policy: {require: [owner]}\n")

    assert any("too; keep one" in one for one in problems(tmp_path))


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """By its own name, and what is wrong elsewhere is told all the same."""
    write(tmp_path, a_yaml=HEAD + "nope: 1\n", sub__b_yaml=HOST)
    (tmp_path / "sub").chmod(0)
    without = [] if os.geteuid() else ["setpriv", "--bounding-set", "-all"]
    ended = subprocess.run([*without, AUDITOR, "validate", tmp_path], capture_output=True, text=True, check=False)
    (tmp_path / "sub").chmod(0o700)

    assert ended.returncode == 2
    assert f"{tmp_path / 'sub'}: cannot be read: Permission denied" in ended.stderr
    assert "unknown key `nope`" in ended.stderr


@pytest.mark.parametrize("section", ["hosts", "viewpoints", "roles", "ranges"])
def test_an_empty_name(section: str, tmp_path: Path) -> None:
    """It is named, and no defect of ours."""
    path = tmp_path / "inventory.yaml"
    path.write_text(f'{HEAD}{section}: {{"": {{interfaces: {{lan: 1}}, kind: 1, services: 1, cidrs: 1}}}}\n')

    assert any("`` is not a name" in one for one in problems(path))


WHOLE = HEAD + HOST.removeprefix("version: 1\n")
FLOW = '{"version": 1, "name": "case", "scope": {"allow": ["10.0.0.0/8",]}, '
FLOW += '"hosts": {"a": {"interfaces": {"lan": ["10.0.0.1"],}}}}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("crlf.yaml", WHOLE.replace("\n", "\r\n").encode()),
        ("mark-and-crlf.yaml", b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode()),
        ("no-last-line-end.yaml", WHOLE.rstrip().encode()),
        ("directive.yaml", f"%YAML 1.2\n---\n{WHOLE}...\n".encode()),
        ("comments.yaml", f"# first\n{WHOLE}# last \u4e16\u754c\n".encode()),
        ("anchors.yaml", f"x-a: &a [1]\nx-b: &a [2]\nx-c: *a\n{WHOLE}".encode()),
        ("own-keys.yaml", f"x-free: {{on: yes, 22:22: [~, {{'': 1}}]}}\n{WHOLE}".encode()),
        ("escapes.yaml", f'x-text: "\\u2028\\x85\\r\\0\\e"\n{WHOLE}'.encode()),
        ("trailing-commas.json", FLOW.encode()),
        ("indented-with-tabs.json", FLOW.replace(" ", "\n\t").encode()),
    ],
)
def test_what_is_fine(tmp_path: Path, name: str, content: bytes) -> None:
    """Line ends of Windows, byte order marks, directives, anchors defined again, escapes and trailing commas."""
    (tmp_path / name).write_bytes(content)

    assert ["a"] == list(load(tmp_path / name).hosts)
