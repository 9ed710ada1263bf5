"""One audit at a time from each place, since two would send twice what is allowed, and starve each other.

A place is what packets leave from: a network namespace of this machine, whatever its name is, or somewhere else as the
way there names it. It is held by a lock on a file (flock(2)), so that whatever ends an audit frees it, in a folder that
all users share. Audits that other machines start are not seen; those of a cluster are, by its workers.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import socket
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from auditor.errors import TransportError
from auditor.model.inventory import ClusterVia, DockerVia, KubectlVia, LocalVia, NetnsVia, SshVia, Via, WorkerVia
from auditor.transport.ssh import settings

FOLDER = "AUDITOR_LOCKS"  # the environment's word for another folder
_FOLDERS = (Path("/run/lock"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - nothing is believed that lies there
_SHARED = stat.S_ISVTX | stat.S_IWOTH  # everybody makes files there, and removes only their own
_NAMESPACES = Path("/run/netns")  # ip-netns(8)
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LOOK = 1.0  # seconds between looks at whether a place is free
_TRIES = 20  # to open a file that somebody is just making, or has just removed
_PAUSE = 0.05  # seconds between those
_LONGEST = 2000  # bytes of a file that are read


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a place, as they say."""

    pid: int
    user: str
    machine: str
    inventory: str
    viewpoint: str
    since: str
    token: str = ""  # of an audit that holds the places of several workers

    @classmethod
    def of(cls, inventory: str, viewpoint: str, token: str = "") -> Holder:
        """This process, from now on."""
        since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return cls(os.getpid(), _user(), socket.gethostname(), inventory, viewpoint, since, token)

    def __str__(self) -> str:
        return (
            f"process {self.pid} of {self.user} on {self.machine} since {self.since}, "
            f"inventory {self.inventory}, viewpoint {self.viewpoint}"
        )


@contextmanager
def alone(
    vias: Mapping[str, Via],
    inventory: str,
    *,
    wait: bool = False,
    tell: Callable[[str], None],
    warn: Callable[[str], None],
    folders: Sequence[Path] = _FOLDERS,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Hold the places of these viewpoints, each once, while the context lasts.

    Where another audit holds one, `wait` for it, holding none meanwhile; `tell` is told whom for. Without, raise
    TransportError. What cannot be locked does not stop an audit: `warn` is told.
    """
    folder = _folder(folders, warn)
    wanted: dict[str, tuple[str, Via]] = {}
    for viewpoint, via in vias.items():
        wanted.setdefault(place(via), (viewpoint, via))
    warned: set[str] = set()

    def warn_once(message: str) -> None:
        if message not in warned:
            warned.add(message)
            warn(message)

    waiting_for = ""
    while True:
        held: list[int] = []
        busy = ""
        try:
            if folder is not None:
                busy = _take(folder, wanted, inventory, held, warn_once)
            if not busy:
                yield
                return
        finally:
            for file in held:
                os.close(file)
        if not wait:
            raise refusal(busy)
        if busy != waiting_for:
            tell(f"waiting: {busy}")
        waiting_for = busy
        pause(_LOOK)


def _take(
    folder: Path,
    wanted: Mapping[str, tuple[str, Via]],
    inventory: str,
    held: list[int],
    warn: Callable[[str], None],
) -> str:
    """Put the locks into `held`; or say who has one of them."""
    for where, (viewpoint, via) in sorted(wanted.items()):
        try:
            file, holder = _lock(folder, where, Holder.of(inventory, viewpoint))
        except OSError as error:
            warn(
                f"viewpoint {viewpoint}: cannot be held, so another audit from there at the same time goes unseen: "
                f"{error.strerror or error} ({folder})"
            )
            continue
        if file is None:
            return in_use(viewpoint, str(via), holder)
        held.append(file)
    return ""


def in_use(viewpoint: str, where: str, holder: object) -> str:
    return f"viewpoint {viewpoint} is in use by another audit ({where}): {holder or 'it does not say which'}"


def refusal(busy: str) -> TransportError:
    """What is said where somebody else has a place, and nobody wants to wait."""
    return TransportError(f"{busy}. Two at a time would send more than is allowed; --wait waits for its end")


def lock_here(holder: Holder) -> tuple[int | None, Holder | None]:
    """Hold the place where this process stands: the file, which holds it while it is open; or None, and who has it.

    Raises OSError where it cannot be locked.
    """
    warned: list[str] = []
    folder = _folder(_FOLDERS, warned.append)
    if folder is None:
        raise OSError("; ".join(warned))
    return _lock(folder, place(LocalVia()), holder)


def _lock(folder: Path, where: str, holder: Holder) -> tuple[int | None, Holder | None]:
    """The file that holds a place as long as it is open; or None, and who holds it. Raises OSError."""
    path = folder / f"auditor-{hashlib.sha256(where.encode()).hexdigest()[:32]}.lock"
    for _ in range(_TRIES):
        file = _open(path)
        if file is None:
            time.sleep(_PAUSE)
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = _parsed(file)
            os.close(file)
            return None, other
        except BaseException:
            os.close(file)
            raise
        if _is_at(file, path):
            _write(file, holder)
            return file, None
        os.close(file)  # its owner has removed it, and somebody may hold the next one
    raise OSError(f"{path} cannot be opened, or is removed again and again")


def _open(path: Path) -> int | None:
    """The file, made where there is none; None where that has to be tried again. Raises OSError.

    Whoever makes it lets everybody lock it. No link is followed, and what is no plain file is refused. Linux lets not
    even root open another one's file in such a folder with O_CREAT (proc_sys_fs(5), protected_regular).
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        file = os.open(path, flags)
    except FileNotFoundError:
        try:
            file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(file, 0o666)  # whatever the umask is
        except FileExistsError:
            return None
    except PermissionError:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise OSError(f"{path} is no plain file")


def _is_at(file: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file), path.lstat())
    return False


def _write(file: int, holder: Holder) -> None:
    """Say who holds it. Never into a file that has another name somewhere, or is none of ours."""
    with suppress(OSError):  # a full disk, or somebody else's file: then nobody is told
        if os.fstat(file).st_nlink == 1 and (_parsed(file) or not os.fstat(file).st_size):
            line = f"{json.dumps(asdict(holder))}\n".encode()
            os.pwrite(file, line, 0)  # over what was there: whoever reads meanwhile finds a whole line
            os.ftruncate(file, len(line))


def _parsed(file: int) -> Holder | None:
    """What is in the file. Anybody may have written it."""
    try:
        said = json.loads(os.pread(file, _LONGEST, 0).partition(b"\n")[0])
        words = {key: " ".join(str(said.get(key, ""))[:100].split()) for key in Holder.__slots__ if key != "pid"}
        return Holder(pid=int(said["pid"]), **words)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"


def _folder(folders: Iterable[Path], warn: Callable[[str], None]) -> Path | None:
    """The first that all users share: the same for all of them, whatever each may do elsewhere."""
    if chosen := os.environ.get(FOLDER):
        return Path(chosen)
    for folder in folders:
        with suppress(OSError):
            mode = folder.stat().st_mode
            if stat.S_ISDIR(mode) and mode & _SHARED == _SHARED:
                return folder
    names = ", ".join(map(str, folders))
    warn(f"no folder is shared by all users ({names}), so another audit from the same place goes unseen; set {FOLDER}")
    return None


def place(via: Via) -> str:
    """What packets leave from there, in words that are the same for all who mean the same."""
    match via:
        case LocalVia():
            return _namespace(Path("/proc/self/ns/net"), "local")
        case NetnsVia():
            return _namespace(_NAMESPACES / via.name, str(via))
        case SshVia():
            return f"ssh {_destination(via)}"
        case DockerVia():
            daemon = os.environ.get("DOCKER_HOST") or os.environ.get("DOCKER_CONTEXT", "")
            return f"docker {daemon} {via.container}"
        case KubectlVia():
            cluster = via.context or os.environ.get("KUBECONFIG", "")
            return f"kubectl {cluster} {via.namespace or ''}/{via.pod}"
        case ClusterVia():
            return f"dask {via.scheduler} {via.viewpoint}"
        case WorkerVia():
            return f"worker {via.worker}"
        case _:
            assert_never(via)


def _namespace(path: Path, name: str) -> str:
    """A network namespace, by what the kernel knows it by while it runs: names differ between mount namespaces."""
    try:
        known = path.stat()
        return f"namespace {known.st_dev}:{known.st_ino} {_BOOT.read_text(encoding='utf-8').strip()}"
    except OSError:  # there is none, and the audit will say so
        return name


def _destination(via: SshVia) -> str:
    """Where a login leads to by the user's configuration, which is read for it: nothing is connected to."""
    configured = settings(via)
    words = [configured.get(key, "") for key in ("hostname", "port", "proxyjump", "proxycommand")]
    return " ".join([words[0].lower(), *words[1:]]) if words[0] else f"{via.host} {via.port or ''}"
