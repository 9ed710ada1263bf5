"""One audit at a time from each place: who holds it, who frees it, and what nobody can be tricked into."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from auditor.errors import TransportError
from auditor.model.inventory import ClusterVia, DockerVia, KubectlVia, LocalVia, NetnsVia, SshVia, Via
from auditor.transport.alone import alone, place

HERE = LocalVia()
NOBODY = 65534
# Holds the place from which it stands until its input ends, or says why it cannot.
HOLDING = """
import os, sys
from auditor.errors import TransportError
from auditor.model.inventory import LocalVia
from auditor.transport.alone import alone
if len(sys.argv) > 1:
    os.setuid(int(sys.argv[1]))
try:
    with alone({"vp": LocalVia()}, "shop", tell=print, warn=print):
        print("held", flush=True)
        sys.stdin.read()
except TransportError as error:
    print(error, flush=True)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like /tmp."""
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(0o1777)
    monkeypatch.setenv("AUDITOR_LOCKS", str(path))
    return path


@contextmanager
def another(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that holds the place, and the first thing that it says."""
    argv = [sys.executable, "-c", HOLDING, *map(str, arguments)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            yield running, running.stdout.readline().strip()
        finally:
            running.kill()


def held(warned: list[str] | None = None, **more: Via) -> ExitStack:
    stack = ExitStack()
    warn = [].append if warned is None else warned.append
    stack.enter_context(alone(more or {"vp": HERE}, "estate", tell=print, warn=warn))
    return stack


def lock_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_the_second_is_told_who_the_first_is() -> None:
    """Process, user, machine, since when, and what it audits from where."""
    with another() as (first, _), pytest.raises(TransportError) as told, held():
        pass
    said = str(told.value)
    words = ("viewpoint vp is in use by another audit (local): ", f"process {first.pid} of ", " on ", "--wait waits")

    assert [word in said for word in words] == [True] * 4
    assert ", inventory shop, viewpoint vp. " in said
    assert " since 20" in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_process_holds_nothing(number: signal.Signals) -> None:
    """However it died: the system lets go of its lock."""
    with another() as (first, _):
        first.send_signal(number)
        first.wait()
        held().close()


def test_one_audit_may_look_twice_from_one_place() -> None:
    """Its viewpoints share the place: they are neither refused nor wait for each other."""
    with held(one=HERE, two=HERE):
        pass


def test_what_is_let_go_of_can_be_had() -> None:
    """One audit after the other."""
    for _ in range(3):
        held().close()


def test_waiting_holds_nothing_and_says_for_whom(folder: Path) -> None:
    """Once, whatever time it takes; and what is free meanwhile others may have."""
    told: list[str] = []
    with another() as (first, _):
        pauses = 0

        def pause(_seconds: float) -> None:
            nonlocal pauses
            pauses += 1
            held(other=DockerVia("free")).close()
            if pauses == 3:
                first.kill()
                first.wait()

        both: dict[str, Via] = {"vp": HERE, "web": DockerVia("free")}
        with alone(both, "estate", wait=True, tell=told.append, warn=told.append, pause=pause):
            assert (3, 1) == (pauses, len(told))

    assert told[0].startswith("waiting: viewpoint vp is in use by another audit (local): process ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_all_users_share_the_places(
    umask: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Either finds the other's lock, whoever made the file, and can have the place afterwards."""
    before = os.umask(umask)
    request.addfinalizer(lambda: os.umask(before))
    with TemporaryDirectory(dir="/tmp") as name:  # pytest's own are root's alone
        folder = Path(name)
        folder.chmod(0o1777)
        monkeypatch.setenv("AUDITOR_LOCKS", name)
        with held(), another(NOBODY) as (_, said):
            assert f"process {os.getpid()} of root on " in said
        with another(NOBODY) as (_, said):
            assert said == "held"
            with pytest.raises(TransportError, match="of nobody on "):
                held()
        held().close()
        lock_file(folder).unlink()
        with another(NOBODY) as (_, said), pytest.raises(TransportError, match="of nobody on "):
            held()
        held().close()
        mode = stat.S_IMODE(lock_file(folder).stat().st_mode)

    assert 0o666 == mode


def test_what_cannot_be_held_is_said_once_however_long_it_waits(folder: Path) -> None:
    """And so is whom it waits for."""
    warned: list[str] = []
    with held(bad=DockerVia("bad")):
        lock = lock_file(folder)
    lock.unlink()
    lock.mkdir()
    with another() as (first, _):
        pauses = iter([lambda: None, first.kill, first.wait])
        both: dict[str, Via] = {"bad": DockerVia("bad"), "vp": HERE}

        def pause(_seconds: float) -> None:
            next(pauses)()

        with alone(both, "estate", wait=True, tell=warned.append, warn=warned.append, pause=pause):
            pass

    assert [0, 1] == sorted(one.startswith("waiting: ") for one in warned)


def test_what_lies_there_is_no_trap(folder: Path, tmp_path: Path) -> None:
    """A link, a folder or a pipe in its place is named, and costs no audit; nothing is written through it."""
    held().close()
    path, precious = lock_file(folder), tmp_path / "precious"
    precious.write_text("mine")
    for lay in (
        lambda: path.symlink_to(precious),
        lambda: path.symlink_to(tmp_path / "nothing"),
        path.mkdir,
        lambda: os.mkfifo(path),
    ):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        lay()
        warned: list[str] = []
        held(warned).close()

        assert 1 == len(warned)
        assert "viewpoint vp: cannot be held, so another audit from there at the same time goes unseen" in warned[0]

    assert ("mine", False) == (precious.read_text(), (tmp_path / "nothing").exists())


def test_a_file_with_another_name_is_never_written(folder: Path, tmp_path: Path) -> None:
    """Nor is one with words that are none of ours: they lock as well as any."""
    held().close()
    path, precious = lock_file(folder), tmp_path / "precious"
    precious.write_text("")
    path.unlink()
    path.hardlink_to(precious)
    with held(), another() as (_, said):
        assert "it does not say which" in said
    path.unlink()
    path.write_text("[" * 100_000)
    path.chmod(0o666)
    with held(), another() as (_, said):
        assert "it does not say which" in said

    assert ("", "[" * 9) == (precious.read_text(), path.read_text()[:9])


@pytest.mark.parametrize("where", ["missing", "file"])
def test_a_folder_that_is_none_costs_no_audit(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said that another audit would not be seen."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUDITOR_LOCKS", str(tmp_path / where))
    warned: list[str] = []
    held(warned).close()

    assert 1 == len(warned)
    assert "goes unseen" in warned[0]
    assert str(tmp_path / where) in warned[0]


def test_the_folder_is_one_that_all_users_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for all, so not the first that somebody can write to: root could use one that others cannot."""
    monkeypatch.delenv("AUDITOR_LOCKS")
    own, shared = tmp_path / "own", tmp_path / "all"
    for path, mode in ((own, 0o755), (shared, 0o1777)):
        path.mkdir()
        path.chmod(mode)
    warned: list[str] = []
    with alone({"vp": HERE}, "estate", tell=print, warn=warned.append, folders=(tmp_path / "none", own, shared)):
        assert ([], 1, []) == (list(own.iterdir()), len(list(shared.iterdir())), warned)
    with alone({"vp": HERE}, "estate", tell=print, warn=warned.append, folders=(own,)):
        assert [f"no folder is shared by all users ({own})"] == [one.partition(",")[0] for one in warned]


def test_a_namespace_is_one_place_whatever_it_is_called() -> None:
    """By what the kernel knows it by; one that does not exist is its name."""
    inode = Path("/proc/self/ns/net").stat().st_ino

    assert f":{inode} " in place(HERE)
    assert "netns nowhere" == place(NetnsVia("nowhere"))


def test_a_login_is_where_it_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the user's SSH configuration. Who logs in makes no other place; another port, or another way there, does."""
    ssh = tmp_path / "ssh"
    ssh.write_text(
        '#!/bin/sh\necho "$*" >> "$0.log"\ncase "$*" in *" bad") exit 255;; *" far") jump=gate;; *) jump=none;; esac\n'
        'echo "hostname Probe.Example.com"\necho "port 22"\necho "proxyjump $jump"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    one, two, far, bad = (
        place(SshVia(name, user)) for name, user in (("a", "x"), ("b", None), ("far", "x"), ("bad", "y"))
    )

    assert ("ssh probe.example.com 22 none ", one) == (one, two)
    assert 3 == len({one, far, bad})
    assert all("-G" in line for line in ssh.with_suffix(".log").read_text().splitlines())


def test_other_places_differ() -> None:
    """Containers, pods and clusters by what they are asked for; an image shares the network of its container."""
    vias = (
        DockerVia("web"),
        DockerVia("db"),
        KubectlVia("web"),
        KubectlVia("web", namespace="shop"),
        ClusterVia("public", "tcp://127.0.0.1:8786"),
        ClusterVia("inside", "tcp://127.0.0.1:8786"),
        HERE,
    )

    assert len(vias) == len(set(map(place, vias)))
    assert place(DockerVia("web")) == place(DockerVia("web", image="tools"))
    assert place(KubectlVia("web")) == place(KubectlVia("web", image="tools"))
