"""Runs commands at a viewpoint: the one seam between the program and other programs."""

from auditor.transport.base import Captured, Process, Transport, capture
from auditor.transport.system import SystemTransport

__all__ = ["Captured", "Process", "SystemTransport", "Transport", "capture"]
