"""No draft is invalid, and nothing that a network or a process says becomes a part of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from auditor.errors import EvidenceError
from auditor.evidence.listeners import read_listeners
from auditor.grade.severity import exposed
from auditor.inventory.draft.drafting import Outlook, Wanted, draft
from auditor.inventory.draft.hosts import fit_name
from auditor.inventory.loading import load
from auditor.model.listener import Listener
from auditor.model.observation import Identity, Label, Observation, Scan
from auditor.model.ports import PortSet
from auditor.model.words import PortState, Protocol, Technique, ViewpointKind

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
ADDRESSES = tuple(
    map(ip_address, ("203.0.113.10", "203.0.113.11", "10.20.1.10", "2001:db8:1::10", "fe80::1", "127.0.0.1"))
)
GRAMMAR = re.compile(r"(?!x-)[A-Za-z0-9_][A-Za-z0-9._-]{0,62}")
# Text that would break out of a comment or a scalar, or read as something else, wherever it were put unescaped.
HOSTILE = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        (
            "\nhosts: {evil: {interfaces: {x: [10.0.0.1]}}}",
            "x\r  evil: 1",
            "\u2028evil: 1",
            "\u0085evil: 1",
            "ssh:\n  from: [internet]",
            '"]}\n',
            "# TODO",
            "*alias",
            "!!python/object:os.system",
            "%YAML 1.1",
            "---",
            "null",
            "x-1",
            "\udcff\ud800",
            "\x1b[2J",
            "evil: &a [*a]",
        )
    ),
)
PRODUCTS = st.sampled_from(("", "nginx", "OpenSSH", "Redis key-value store", "Postfix smtpd"))
IDENTITIES = st.none() | st.builds(
    Identity,
    name=st.sampled_from(("http", "ssl/http", "ssh", "redis", "smtp", "unknown", "tcpwrapped")) | HOSTILE,
    method=st.sampled_from(("probed", "table")),
    product=PRODUCTS | HOSTILE,
    version=HOSTILE,
    tunnel=st.sampled_from(("", "ssl")),
)
OBSERVATIONS = st.builds(
    Observation,
    address=st.sampled_from(ADDRESSES),
    protocol=st.sampled_from(Protocol),
    ports=st.sampled_from((22, 53, 80, 443, 6379, 40000)).map(PortSet.of),
    state=st.sampled_from((PortState.OPEN, PortState.OPEN, PortState.CLOSED, PortState.FILTERED)),
    reason=st.just("syn-ack"),
    at=st.just(NOW),
    identity=IDENTITIES,
)
LABELS = st.builds(
    Label,
    address=st.sampled_from(ADDRESSES),
    names=st.lists(HOSTILE, max_size=2).map(tuple),
    mac=st.sampled_from(("", "00:11:22:33:44:55")),
)
LISTENERS = st.builds(
    Listener,
    bind=st.none() | st.sampled_from((*ADDRESSES, ip_address("0.0.0.0"), ip_address("::"), ip_address("10.9.9.9"))),
    protocol=st.sampled_from(Protocol),
    port=st.sampled_from((22, 53, 80, 5432, 40000)),
    process=st.sampled_from(("nginx", "sshd", "")) | HOSTILE,
    device=st.just("") | HOSTILE,
)


def once(observations: list[Observation]) -> tuple[Observation, ...]:
    return tuple({(one.address, one.protocol, one.ports): one for one in observations}.values())


@settings(max_examples=150)
@given(
    observations=st.lists(OBSERVATIONS, min_size=1, max_size=12).map(once),
    labels=st.lists(LABELS, max_size=4),
    listeners=st.dictionaries(HOSTILE.filter(bool), st.lists(LISTENERS, max_size=5), max_size=2),
    more=st.tuples(
        st.dictionaries(HOSTILE.filter(bool), st.lists(st.sampled_from(ADDRESSES), max_size=3), max_size=2),
        st.none() | st.lists(OBSERVATIONS, max_size=6).map(once),
        st.sampled_from(ViewpointKind),
        HOSTILE,
    ),
)
def test_every_draft_is_valid_and_holds_no_text_from_outside(observations, labels, listeners, more, tmp_path_factory):
    """It loads, two readers of YAML agree on it, and its keys and values are names, addresses and words of ours."""
    said, elsewhere, kind, error = more
    scan = Scan("seen", Technique.SYN, "7.93", observations=observations, errors=(error,))
    severities = partial(exposed, untrusted=kind is ViewpointKind.PUBLIC)
    others = [
        Outlook(
            "office",
            ViewpointKind.VPN,
            Scan("office", Technique.SYN, "7.93", observations=elsewhere),
            severities=partial(exposed, untrusted=False),
        )
        for _ in (elsewhere,)
        if elsewhere is not None
    ]
    assume(listeners or any(one.state is not PortState.FILTERED for one in observations))
    made = draft(
        Wanted("estate", kind, kind),
        scan,
        asked={one.address for one in observations},
        labels=labels,
        sources=(),
        listeners=listeners,
        severities=severities,
        said=said,
        others=others,
    )
    path = tmp_path_factory.mktemp("draft") / "drafted.yaml"
    path.write_text(made.text, encoding="utf-8")
    inventory = load(path)
    plain = yaml.safe_load(made.text)

    assert made.text.isascii() or made.text.replace("\n", "").isprintable()
    assert sorted(map(str, plain["hosts"])) == sorted(inventory.hosts)
    assert len(inventory.hosts) == made.hosts
    assert sum(len(host.services) for host in inventory.hosts.values()) == made.services
    assert made.text.count("# TODO") >= made.todo
    for host in inventory.hosts.values():
        for name in (host.name, *host.interfaces, *(one.name for one in host.services)):
            assert GRAMMAR.fullmatch(name)
        for service in host.services:
            assert re.fullmatch(r"found (by nmap on 2026-11-22|listening); TODO say why it is there", service.reason)


@given(HOSTILE)
def test_any_text_becomes_a_name(text):
    """In the grammar of names, and a name stays what it is."""
    name = fit_name(text)

    assert GRAMMAR.fullmatch(name)
    assert name == fit_name(name)


@settings(max_examples=300)
@given(
    lines=st.lists(st.binary(max_size=80) | st.just(b'tcp LISTEN 0 9 *:22 *:* users:(("sshd",pid=1,fd=3))'), max_size=6)
)
def test_any_bytes_are_listeners_or_an_error(lines, tmp_path_factory):
    """Nothing but our own error comes out of any file."""
    path: Path = tmp_path_factory.mktemp("ss") / "x.txt"
    path.write_bytes(b"\n".join(lines))
    try:
        found = read_listeners(path)
    except EvidenceError as error:
        assert str(path) in str(error)
    else:
        assert all(1 <= one.port <= 65535 for one in found)


@settings(max_examples=200)
@given(process=st.text(max_size=15).filter(lambda text: "\0" not in text), port=st.integers(1, 65535))
def test_no_name_of_a_process_makes_up_or_hides_a_listener(process, port, tmp_path_factory):
    """The kernel keeps 15 characters of a name: the file is read as it is meant, or refused."""
    path: Path = tmp_path_factory.mktemp("ss") / "x.txt"
    rest = "tcp LISTEN 0 9 *:22 *:*\n"
    text = f'tcp LISTEN 0 9 *:{port} *:* users:(("{process}",pid=1,fd=3))\n{rest}'
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        found = read_listeners(path)
    except EvidenceError:
        return

    assert {port, 22} == {one.port for one in found}
