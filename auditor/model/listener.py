"""What listens on a host, as the host itself says."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.model.words import Address, Protocol


@dataclass(frozen=True, slots=True)
class Listener:
    """A process bound to (bind address, protocol, port).

    `bind` is None where it is bound to every address of both families. `device` is the interface that it is bound to,
    where it is to one; `process` is the process's own name for itself, "" where it is not known. Both are hostile text.
    """

    bind: Address | None
    protocol: Protocol
    port: int
    process: str = ""
    device: str = ""

    @property
    def loopback(self) -> bool:
        """Whether only the host itself can reach it."""
        return self.device == "lo" or (self.bind is not None and self.bind.is_loopback)

    @property
    def wildcard(self) -> bool:
        """Whether it is bound to every address of a family, or of both."""
        return self.bind is None or self.bind.is_unspecified

    def takes(self, address: Address) -> bool:
        """Whether connections to this address of the host reach it, as far as its bind address goes."""
        if self.device == "lo" and not address.is_loopback:
            return False
        return self.bind in (None, address) or (self.wildcard and self.bind.version == address.version)
