"""What goes before a command to run it at a place, in words alone."""

from __future__ import annotations

from auditor.model.inventory import DockerVia, KubectlVia

_RAW = ("--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN")


def in_docker(via: DockerVia, *options: str) -> list[str]:
    """What goes before a command. As root, since a container's own user has no raw sockets."""
    if via.image is None:
        return ["docker", "exec", *options, "--user", "0", via.container]
    network = ["--network", f"container:{via.container}"]
    beside = ["--rm", "--pull", "never", *options, "--user", "0", *network, *_RAW, "--entrypoint", ""]
    return ["docker", "run", *beside, via.image]


def in_pod(via: KubectlVia, *options: str) -> list[str]:
    """What goes before a command."""
    if via.image is not None:
        return debugging(via, None, *options)
    container = ["--container", via.container] if via.container else []
    return [*_kubectl(via), "exec", *options, via.pod, *container, "--"]


def debugging(via: KubectlVia, name: str | None, *options: str) -> list[str]:
    """An ephemeral container. Its profile `netadmin` has raw sockets."""
    named = ["--container", name] if name else []
    target = ["--target", via.container] if via.container else []
    image = ["--image", via.image or "", "--profile", "netadmin"]
    return [*_kubectl(via), "debug", *options, via.pod, *named, *target, *image, "--"]


def _kubectl(via: KubectlVia) -> list[str]:
    context = ["--context", via.context] if via.context else []
    namespace = ["--namespace", via.namespace] if via.namespace else []
    return ["kubectl", *context, *namespace]
