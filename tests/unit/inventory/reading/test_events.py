"""YAML text to data and places."""

from __future__ import annotations

import pytest

from auditor.inventory.reading.events import MAX_ALIASED, MAX_DEPTH, parse, plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("Null", None),
        ("nULL", "nULL"),
        ("true", True),
        ("FALSE", False),
        ("on", "on"),
        ("yes", "yes"),
        ("No", "No"),
        ("0", 0),
        ("-12", -12),
        ("+7", 7),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b1", "0b1"),
        ("1_000", "1_000"),
        ("22:22", "22:22"),
        ("2026-12-31", "2026-12-31"),
        ("1.5", 1.5),
        ("-.5e3", -500.0),
        ("1.", 1.0),
        (".", "."),
        ("-", "-"),
        ("10.0.0.1", "10.0.0.1"),
        ("1e3", 1000.0),
        ("٣", "٣"),
    ],
)
def test_plain_scalars(text: str, value: object) -> None:
    """Unquoted scalars follow the core schema of YAML 1.2, and nothing of YAML 1.1."""
    found = plain(text)

    assert (value, type(value)) == (found, type(found))


@pytest.mark.parametrize("text", [".inf", "-.Inf", ".NaN", "1e999", "9" * 41, "0x" + "f" * 100])
def test_numbers_out_of_all_bounds(text: str) -> None:
    """A number that no JSON can hold is refused, not guessed at."""
    with pytest.raises(ValueError, match="quotes"):
        plain(text)


def test_quoted_scalars_are_texts() -> None:
    """Quotes and block scalars make a text of anything."""
    document = parse("a: \"22\"\nb: 'true'\nc: |\n  5\n", "f")

    assert document.data == {"a": "22", "b": "true", "c": "5\n"}
    assert document.problems == []


def test_places() -> None:
    """Keys and items know their line and column; what is not there has the place of what would hold it."""
    document = parse("a:\n  b: [1, 2]\n  c:\n    - x\n    - y: 1\n", "f")

    assert document.place(()) == (1, 1)
    assert document.place(("a",)) == (1, 1)
    assert document.place(("a", "b")) == (2, 3)
    assert document.place(("a", "b", 1)) == (2, 10)
    assert document.place(("a", "c", 1)) == (5, 7)
    assert document.place(("a", "c", 1, "y")) == (5, 7)
    assert document.place(("a", "c", 1, "z")) == (5, 7)
    assert document.place(("a", "b", 7, "deeper")) == (2, 3)


def test_places_in_big_mappings_and_beside_dropped_keys() -> None:
    """Every key of many knows its own place, whatever is dropped before it, and so do its own keys in turn."""
    many = "".join(f"k{number}: {{a: 1, b: [2, 3]}}\n" for number in range(100))
    document = parse(f"x-first: 1\n{many}x-last: {{k0: 1}}\nlast: 1\n", "f")

    assert [(number + 2, 1) for number in range(100)] == [document.place((f"k{number}",)) for number in range(100)]
    assert document.place(("k7", "b", 1)) == (9, 19)
    assert document.place(("k7", "b", 0)) == (9, 16)
    assert document.place(("k8", "a")) == (10, 6)
    assert document.place(("last",)) == (103, 1)
    assert document.place(("x-last", "k0")) == (1, 1)
    assert document.place(("k8", "c")) == (10, 1)


def test_what_is_put_in_later_has_the_place_of_its_holder() -> None:
    """A stand-in for a missing key is not where a dropped or other key stood."""
    document = parse("a: {b: 1, x-own: 2}\nc: 3\n", "f")
    document.data["a"]["missing"] = None
    document.data["late"] = {"d": 1}

    assert document.place(("a", "missing")) == (1, 1)
    assert document.place(("late", "d")) == (1, 1)
    assert document.place(("c",)) == (2, 1)


def test_the_same_text_means_what_its_quotes_say_each_time() -> None:
    """What a text means is remembered apart for plain and for quoted ones."""
    document = parse("""a: [1, "1", 1, '1', true, "true", ~, "~"]""", "f")

    assert document.data == {"a": [1, "1", 1, "1", True, "true", None, "~"]}


def test_aliases_share_their_anchor() -> None:
    """An alias is its anchor's value, in a key too."""
    document = parse("a: &n name\nb: &l [1]\n? *n\n: *l\n", "f")

    assert document.data == {"a": "name", "b": [1], "name": [1]}
    assert document.problems == []


def test_own_keys_are_dropped_but_their_anchors_hold() -> None:
    """`x-` keys are the author's own: parsed, checked for duplicates, and gone."""
    document = parse("x-sources: &s [a]\nservice: {from: *s, x-note: {deep: 1}}\nx-sources: 2\n", "f")

    assert document.data == {"service": {"from": ["a"]}}
    assert [problem.message for problem in document.problems] == [
        "the key `x-sources` is here twice, first in line 1; keep one"
    ]


def test_aliases_may_be_many_but_bounded() -> None:
    """Aliases within the bound are read; one node more is not."""
    thousand = "[" + ",".join("1" * 999) + "]"
    within = MAX_ALIASED // 1000
    fine = parse(f"x: &a {thousand}\ny: [" + ",".join(["*a"] * within) + "]", "f")
    beyond = parse(f"x: &a {thousand}\ny: [" + ",".join(["*a"] * (within + 1)) + "]", "f")

    assert fine.problems == []
    assert within == len(fine.data["y"])
    assert beyond.data is None
    assert "aliases make this file" in beyond.problems[0].message


@pytest.mark.parametrize("deep", [MAX_DEPTH, MAX_DEPTH + 1])
def test_depth_is_bounded(deep: int) -> None:
    """The deepest allowed is read, one more is an error."""
    document = parse("[" * deep + "]" * deep, "f")

    assert (deep > MAX_DEPTH) == bool(document.problems)


def test_depth_through_aliases_is_bounded() -> None:
    """Aliases cannot build what could not be written out."""
    text = "x: &a0 " + "[" * 30 + "]" * 30 + "\ny: &a1 " + "[" * 30 + "*a0" + "]" * 30 + "\nz: [[[[*a1]]]]"

    assert [problem.path for problem in parse(text, "f").problems] == ["z[0][0][0][0]"]


def test_json_is_read() -> None:
    """JSON is YAML, tabs and all."""
    assert parse('{\n\t"version": 1,\n\t"a": ["b", null]\n}\n', "f").data == {"version": 1, "a": ["b", None]}


def test_tabs_are_named() -> None:
    """A tab where YAML allows none is told as such, with its line."""
    (problem,) = parse("a: 1\nb:\n\tc: 1\n", "f").problems

    assert problem.line == 3
    assert "a tab cannot indent, use spaces" in problem.message


@pytest.mark.parametrize(
    "text", ["a: \x00", "a: \x1b", "\x07", "a: \ufffe", '"\\ud800"', "%", "@", "`", "? ? ?", "&", "*", "!<", "- }"]
)
def test_no_text_escapes_as_an_exception(text: str) -> None:
    """What the parser cannot read becomes a problem."""
    document = parse(text, "f")

    assert document.problems or document.data is not None
