"""What small files could make big: bounds on memory and time that hold whatever they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.errors import InventoryError
from auditor.inventory.loading import load
from auditor.inventory.reading.events import MAX_PROBLEMS
from auditor.inventory.resolving import services
from tests.limited import Loader

HEAD = "version: 1\nname: case\nscope: {allow: [10.0.0.0/8]}\nranges: {office: [10.1.0.0/16]}\n"
HOST = "hosts: {a: {interfaces: {lan: [10.0.0.1]}, %s}}\n"


@pytest.fixture(scope="module")
def loader() -> Iterator[Loader]:
    """Dies of more than its memory or time; each of the files below would take hours if it were read naively."""
    one = Loader()
    yield one
    one.close()


def row(word: str, times: int) -> str:
    """The word so many times in a list, `@` in it being the number."""
    return ", ".join(word.replace("@", str(number)) for number in range(times))


def test_items_of_several_types_that_must_differ(loader: Loader) -> None:
    """Whether they do is found in linear time."""
    told = loader.problems({"a.yaml": (HEAD + HOST % f"tags: [{row('@, t@', 50_000)}]").encode()})

    assert len(told) == MAX_PROBLEMS + 1


def test_a_long_text_behind_aliases(loader: Loader) -> None:
    """It would be copied for every alias."""
    text = f'{HEAD}x-text: &text "{"a" * 100_000}"\n' + HOST % f"tags: [{row('*text', 10_000)}]"

    assert [
        "aliases make this file more than 64 MiB bigger" in one for one in loader.problems({"a.yaml": text.encode()})
    ] == [True]


@pytest.mark.parametrize("kind", ["public-web", "udp"])
def test_many_services_of_one_endpoint(loader: Loader, kind: str) -> None:
    """Whether they agree is found without comparing each with each."""
    service = "s@: {ports: [@-60000/tcp, 65535/tcp], from: [office], class: udp}".replace("@-", "1@-")
    text = (
        HEAD + HOST % f"services: {{first: {{ports: 65535/tcp, from: [office], class: {kind}}}, {row(service, 9000)}}}"
    )

    told = loader.problems({"a.yaml": text.encode()})

    assert len(told) == (0 if kind == "udp" else 9000)


def test_many_differences_of_one_endpoint(loader: Loader) -> None:
    """Of millions of pairs only so many are told."""
    service = "s@: {ports: 1/tcp, from: [office], protocol: p@}"
    told = loader.problems({"a.yaml": (HEAD + HOST % f"services: {{{row(service, 20_000)}}}").encode()})

    assert len(told) == MAX_PROBLEMS + 1


def test_many_unknown_names(loader: Loader) -> None:
    """What may have been meant is looked for only so often."""
    ranges = HEAD.replace("office: [10.1.0.0/16]", row("range@: [10.1.0.0/16]", 10_000))
    text = ranges + HOST % f"services: {{s: {{ports: 1/tcp, from: [{row('name@', 20_000)}]}}}}"

    assert len(loader.problems({"a.yaml": text.encode()})) == MAX_PROBLEMS + 1


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n" * 50_000,
        "version: 1\n" + "".join(f"a{number}: 1\n" for number in range(50_000)),
        "version: 1\nhosts: {" + row("h@: 5", 50_000) + "}\n",
        "version: 1\nhosts: [" + row("!x", 50_000) + "]\n",
    ],
    ids=["duplicates", "unknown-keys", "wrong-types", "tags"],
)
def test_more_problems_than_anyone_reads(loader: Loader, text: str) -> None:
    """The first are told, and that there are more."""
    told = loader.problems({"a.yaml": text.encode()})

    assert len(told) == MAX_PROBLEMS + 1
    assert told[0].endswith(
        f"has more than {MAX_PROBLEMS} errors; these are the first that were found [too-many-errors]"
    )


def test_one_wrong_among_many_right(loader: Loader) -> None:
    """Words are sought only for what is wrong, which takes 200 times longer than to find it."""
    told = loader.problems({"a.yaml": (HEAD + HOST % f"tags: [{row('t@', 200_000)}, 5]").encode()})

    assert len(told) == 1
    assert "hosts.a.tags[200000]: is a whole number, `5`" in told[0]


@pytest.mark.parametrize("open_bracket", ["[", "{a: ", "- ", "? "])
def test_deep_nesting(loader: Loader, open_bracket: str) -> None:
    """It is refused long before anything overflows."""
    (told,) = loader.problems({"a.yaml": b"a:\n  " + open_bracket.encode() * 100_000})

    assert "64 deep" in told or "a key is a string" in told


def test_services_of_roles_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A role of a thousand services on each of a thousand hosts is a million of them."""
    monkeypatch.setattr(services, "MAX_SERVICES", 5)
    roles = "roles: {r: {services: {s: {ports: 1/tcp, from: [office]}, t: {ports: 2/tcp, from: [office]}}}}\n"
    hosts = "".join(f"  h{n}: {{roles: [r], interfaces: {{lan: [10.0.0.{n}]}}}}\n" for n in range(1, 4))
    file = tmp_path / "a.yaml"
    file.write_text(f"{HEAD}{roles}hosts:\n{hosts}", encoding="utf-8")

    with pytest.raises(InventoryError) as caught:
        load(file)

    assert [problem.message for problem in caught.value.problems] == [
        "declares more than 5 services on its hosts; split it into several inventories"
    ]
