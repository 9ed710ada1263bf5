"""Where each key of an inventory stands, for messages about what is right as it is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from auditor.inventory.reading.events import Document
from auditor.inventory.reading.files import Tree
from auditor.inventory.reading.text import dotted
from auditor.model.breach import Breach
from auditor.model.inventory import Location, Path


class Places:
    """The keys of a loaded inventory by their paths, such as `("hosts", "web-1", "services", "https", "from")`."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def at(self, path: Path) -> Location:
        """Where the path stands, or its nearest ancestor that is there."""
        if path[:1] == ("waivers",) and len(path) > 1:
            document, index, _ = self.tree.waivers[int(path[1])]
            return Location(document.file, *document.place(("waivers", index, *path[2:])))
        return self.tree.at(path)

    def file(self, path: Path) -> str:
        """The name of the file that the path stands in, below that of the inventory."""
        return self.tree.at(path).file.removeprefix(self.tree.path)

    def beside(self, path: Path, file: str) -> Location:
        """Where the path, which is gone, would stand: in the file of that name, if it is still there."""
        document = self._documents.get(f"{self.tree.path}{file}")
        if document is None or path[:2] in self.tree.owners:
            return self.at(path)
        return Location(document.file, *document.place(path))

    @cached_property
    def _documents(self) -> dict[str, Document]:
        return {document.file: document for document in self.tree.owners.values()}

    def get(self, path: Path) -> Any:
        """What is written at the path; None where nothing is. Waivers are not looked up."""
        here: Any = self.tree.data
        for step in path:
            try:
                here = here[step]
            except (KeyError, IndexError, TypeError):
                return None
        return here

    def of_service(self, host: str, name: str, key: str | None = None) -> Path:
        """The path of a service's declaration, or of one of its keys: the host's own, else the last role's."""
        data = self.tree.data
        declared = data["hosts"].get(host, {})
        layers: list[Path] = [("hosts", host), *(("roles", role) for role in reversed(declared.get("roles", [])))]
        for layer in layers:
            section = data[str(layer[0])].get(layer[1], {})
            service = section.get("services", {}).get(name)
            if isinstance(service, dict) and (key is None or service.get(key) is not None):
                return (*layer, "services", name) if key is None else (*layer, "services", name, key)
        return ("hosts", host) if key is None else self.of_service(host, name)

    def of_breach(self, breach: Breach) -> Path:
        """The path of the service or the waiver that breaks the policy."""
        if breach.host is not None and breach.service is not None:
            return self.of_service(breach.host, breach.service.name)
        return self._waivers.get(breach.location, ("policy",))

    @cached_property
    def _waivers(self) -> dict[Location | None, Path]:
        return {self.at(("waivers", index)): ("waivers", index) for index in range(len(self.tree.waivers))}

    def sources(self) -> Iterator[tuple[Path, list[str]]]:
        """Each `from` of hosts and roles as written, with its path."""
        for section in ("hosts", "roles"):
            for name, value in self.tree.data[section].items():
                for service, keys in value.get("services", {}).items():
                    if isinstance(keys, dict) and keys.get("from"):
                        yield (section, name, "services", service, "from"), keys["from"]

    def roles(self) -> Iterable[str]:
        """The names of the roles."""
        return sorted(self.tree.data["roles"])

    def dotted(self, path: Path) -> str:
        """The path as messages and rules write it: `hosts.web-1.services.https.from`. A waiver counts in its file."""
        if path[:1] == ("waivers",) and len(path) > 1:
            return dotted(("waivers", self.tree.waivers[int(path[1])][1], *path[2:]))
        return dotted(path)
