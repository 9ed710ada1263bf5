"""Runs commands at a viewpoint, and asks the resolver: the seams between the program and what is around it."""

from auditor.transport.alone import alone
from auditor.transport.base import Captured, Process, Transport, capture
from auditor.transport.by_hand import by_hand
from auditor.transport.engine import Cluster, Hold, Tls, engine
from auditor.transport.names import Answer, look_up
from auditor.transport.system import SystemTransport

__all__ = [
    "Answer",
    "Captured",
    "Cluster",
    "Hold",
    "Process",
    "SystemTransport",
    "Tls",
    "Transport",
    "alone",
    "by_hand",
    "capture",
    "engine",
    "look_up",
]
