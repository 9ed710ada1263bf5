"""The line of a file below a message, and the caret under the place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor.errors import Problem
from auditor.inventory.reading.excerpt import told


def below(path: Path, line: int, column: int) -> list[str]:
    """What stands below the message."""
    first, *rest = told([Problem(str(path), line, column, "a", "is wrong", "bad-ports")])
    assert first == f"{path}:{line}:{column}: a: is wrong [bad-ports]"
    return rest


@pytest.mark.parametrize(
    ("content", "place", "expected"),
    [
        (b"a: 1\n  b: 2\n", (2, 6), ["    2 |   b: 2", "      |      ^"]),
        (b"a: 1\r\nb: 2\r\n", (1, 4), ["    1 | a: 1", "      |    ^"]),
        (b"a:", (1, 3), ["    1 | a:", "      |   ^"]),  # just behind its end
        (b"\xef\xbb\xbfa: 1\n", (1, 1), ["    1 | a: 1", "      | ^"]),
        ("日本: é\n".encode(), (1, 5), ["    1 | 日本: é", "      |       ^"]),
        ("e\u0301: 1\n".encode(), (1, 5), ["    1 | e\u0301: 1", "      |    ^"]),
        (b"\tb: 1\n", (1, 2), ["    1 | \\tb: 1", "      |   ^"]),
        ("\u202eb: \x1b[2J1\n".encode(), (1, 2), ["    1 | \\u202eb: \\x1b[2J1", "      |       ^"]),
        (b"a: \xe9\n", (1, 4), ["    1 | a: \ufffd", "      |    ^"]),
    ],
)
def test_the_line_and_the_caret(content: bytes, place: tuple[int, int], expected: list[str], tmp_path: Path) -> None:
    """Wide and combining characters take their columns; what would act on a terminal is an escape."""
    path = tmp_path / "a.yaml"
    path.write_bytes(content)

    assert expected == below(path, *place)


def test_lines_of_big_files_keep_the_caret_below_the_place(tmp_path: Path) -> None:
    """Numbers of lines may be long."""
    path = tmp_path / "a.yaml"
    path.write_text("\n" * 1_234_567 + "a: 1\n", encoding="utf-8")

    assert below(path, 1_234_568, 4) == ["1234568 | a: 1", "        |    ^"]


def test_a_long_line_is_cut_around_the_caret(tmp_path: Path) -> None:
    """Marks say at which ends."""
    path = tmp_path / "a.yaml"
    path.write_text("x" * 500 + "here" + "y" * 500 + "\n", encoding="utf-8")

    line, caret = below(path, 1, 501)
    assert len(line) < 100
    assert line.startswith("    1 | …xxx")
    assert line.endswith("yyy…")
    assert line[caret.index("^") :].startswith("here")

    line, _ = below(path, 1, 1)
    assert line.startswith("    1 | xxx")
    line, caret = below(path, 1, 1005)
    assert line.endswith("yyy")
    assert caret.index("^") == len(line)


def test_characters_joined_from_json_are_one_column(tmp_path: Path) -> None:
    """The line is shown as the columns count in it."""
    path = tmp_path / "a.json"
    path.write_text('{"\\ud83d\\ude00": 1}\n', encoding="utf-8")

    assert below(path, 1, 6) == ['    1 | {"😀": 1}', "      |       ^"]


@pytest.mark.parametrize(("line", "column"), [(0, 0), (9, 1), (1, 9), (2, 1)])
def test_no_line_where_there_is_no_such_place(line: int, column: int, tmp_path: Path) -> None:
    """The file as a whole, a file that has changed since, a blank line."""
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n\n", encoding="utf-8")
    (_, *rest) = told([Problem(str(path), line, column, "", "is wrong", "bad-ports")])

    assert rest == []


def test_what_cannot_be_read_again_shows_no_line(tmp_path: Path) -> None:
    """A file that is gone, a folder, a revision's, and a pipe, which would be waited for."""
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)

    assert [below(path, 1, 1) for path in (tmp_path / "gone", tmp_path, Path("git:HEAD:a.yaml"), pipe)] == [[]] * 4


def test_each_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many problems it has."""
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n" * 100, encoding="utf-8")
    read: list[Path] = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: read.append(self) or whole(self))

    assert len(list(told(Problem(str(path), line, 1, "", "m", "bad-ports") for line in range(1, 101)))) == 300
    assert read == [path]
