"""A registry of the experiment's own, on the machine that plays the role `registry`.

Debian and Ubuntu package it (`docker-registry`); on other systems, or where the
package cannot be had, the reference implementation runs as a container.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from enos.errors import ImageError, ProcessError
from enos.images.registry import Registry, answers
from enos.process import Shell
from enos.progress import Progress
from enos.remote import run_on
from enos.testbed import Host

CONFIGURATION = "/etc/docker/registry/config.yml"
CONTAINER = "enos-registry"
WAIT_SECONDS = 20

CONTENT = """\
version: 0.1
log:
  level: warn
storage:
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/docker-registry
http:
  addr: :{port}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command on the registry's machine.

    Attributes:
        stdin: what the command reads.

    """

    argv: tuple[str, ...]
    stdin: str = ""


def packaged(port: int) -> tuple[Step, ...]:
    """Return what installs and starts Debian's package."""
    install = ("apt-get", "-y", "install", "--no-install-recommends", "docker-registry")
    quiet = ("env", "DEBIAN_FRONTEND=noninteractive")
    return (
        Step(argv=(*quiet, "apt-get", "-q", "update")),
        Step(argv=(*quiet, *install)),
        Step(argv=("tee", CONFIGURATION), stdin=CONTENT.format(port=port)),
        Step(argv=("systemctl", "restart", "docker-registry")),
    )


def contained(port: int) -> tuple[Step, ...]:
    """Return what starts the reference implementation as a container."""
    return (
        Step(argv=("docker", "rm", "--force", CONTAINER)),
        Step(
            argv=(
                *("docker", "run", "--detach", "--name", CONTAINER),
                *("--restart", "always", "--publish", f"{port}:5000"),
                *("--env", "REGISTRY_STORAGE_DELETE_ENABLED=true"),
                *("--volume", f"{CONTAINER}:/var/lib/registry", "registry:2"),
            )
        ),
    )


def ensure_registry(
    shell: Shell,
    host: Host,
    progress: Progress,
    *,
    port: int = 5000,
    sockets: Path | None = None,
) -> Registry:
    """Have a registry on a host; idempotent. Raises ImageError when it cannot be."""
    registry = Registry(host=f"{host.address}:{port}", insecure=True, direct=True)
    if answers(registry):
        return registry
    with progress.step("registry", host=host.name) as step:
        failures = []
        for steps in (packaged(port), contained(port)):
            try:
                for one in steps:
                    step.awaiting(" ".join(one.argv[:4]))
                    run_on(shell, host, one.argv, stdin=one.stdin, sockets=sockets)
            except ProcessError as failed:
                failures.append(failed.details or failed.message)
                continue
            step.awaiting("its first answer")
            if _answers_in_time(registry):
                return registry
            failures.append(f"started, but {registry.host} does not answer from here")
    raise ImageError(
        f"no registry can be started on `{host.name}`",
        hint="install the package docker-registry there, or use `registry: external`",
        details="\n".join(failures),
    )


def _answers_in_time(registry: Registry) -> bool:
    """Ask from here, where images are sent from, until it answers or time is up."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not answers(registry):
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True
