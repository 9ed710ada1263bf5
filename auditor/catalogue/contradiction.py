"""Whether what answers contradicts what is declared."""

from __future__ import annotations

from auditor.catalogue.lookup import Spoken, classify, entry_by_word, spoken
from auditor.model.observation import Identity
from auditor.model.words import Protocol, ServiceClass

# Words for a protocol inside TLS, and the protocol. Only `https` has a sibling that must not be inside TLS: `http`.
_INSIDE_TLS = {
    "https": "http",
    "amqps": "amqp",
    "imaps": "imap",
    "ipps": "ipp",
    "ircs": "irc",
    "ldaps": "ldap",
    "mqtts": "mqtt",
    "nntps": "nntp",
    "pop3s": "pop3",
    "rediss": "redis",
    "sips": "sip",
    "smtps": "smtp",
    "telnets": "telnet",
    "wss": "websocket",
}
_TLS_ITSELF = {"ssl", "tls"}
# Neither grades anything by itself, and a name server is declared as one or the other over both protocols.
_PLAIN = {ServiceClass.UDP, ServiceClass.UNCLASSIFIED}


def contradiction(
    protocol: Protocol,
    port: int,
    identity: Identity | None,
    declared_class: ServiceClass | None,
    declared_protocol: str | None,
) -> str | None:
    """Why what answers is the wrong service, as one sentence; None where nothing contradicts.

    Only an identity that nmap's version probe recognised can contradict. What the catalogue cannot place contradicts no
    class. The sentence may hold hostile text.
    """
    answer = spoken(identity)
    if answer is None:
        return None
    by_class = _class_contradiction(protocol, port, identity, answer, declared_class)
    return by_class or (_protocol_contradiction(answer, declared_protocol.lower()) if declared_protocol else None)


def unproven(identity: Identity | None, declared: str) -> str | None:
    """Why an identity that does not contradict the declared protocol does not show it either; None where it does.

    Bare HTTP shows every protocol that HTTP may carry, as far as the catalogue knows; other carriers show themselves.
    """
    answer = spoken(identity)
    if answer is None:
        return "no version probe has recognised what answers"
    word, tls = declared.lower(), answer.tls or answer.name in _TLS_ITSELF
    if not answer.carrier or answer.http or word == answer.name.lower() or (tls and word in _TLS_ITSELF):
        return None  # else it would contradict
    if tls or answer.name == "dtls":
        return "nothing that nmap recognises answers inside TLS"
    if answer.name == "unknown":
        return "nmap does not recognise what it says"
    return f"{answer.label} says nothing of what it carries"


def _class_contradiction(
    protocol: Protocol, port: int, identity: Identity | None, answer: Spoken, declared: ServiceClass | None
) -> str | None:
    if answer.entry is None or declared is None:
        return None
    found = classify(protocol, port, identity, None)
    if declared in (found.graded_as, found.service_class) or {declared, found.graded_as} <= _PLAIN:
        return None
    return f"declared {declared}, but {answer.label} answers ({found.graded_as})"


def _protocol_contradiction(answer: Spoken, declared: str) -> str | None:
    if answer.carrier and not answer.http:
        return None
    if declared in _TLS_ITSELF:
        return None if answer.tls else f"declared {declared}, but {answer.label} answers without TLS"
    plain = _INSIDE_TLS.get(declared, declared)
    if not _same_protocol(answer, plain):
        return f"declared {declared}, but {_protocol_label(answer)} answers"
    if plain != declared and not answer.tls:
        return f"declared {declared}, but {_protocol_label(answer)} answers without TLS"
    if declared == "http" and answer.tls:
        return "declared http, but https answers"
    return None


def _same_protocol(answer: Spoken, declared: str) -> bool:
    if declared == answer.name.lower():
        return True
    if declared == "http":
        return answer.http
    known = entry_by_word(declared)
    if known is not None and known is answer.entry:
        return True
    # HTTP may carry any protocol that the catalogue does not know otherwise, whichever web server speaks it.
    return answer.http and (known is None or known.http)


def _protocol_label(answer: Spoken) -> str:
    if answer.carrier or (answer.name == "http" and answer.product):
        return "https" if answer.tls else "http"
    return answer.name
