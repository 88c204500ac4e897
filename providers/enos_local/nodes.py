"""Making an experiment's containers, finding them again, removing them."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enos.demand import Demand
from enos.errors import CapabilityError, ProcessError, ProviderError
from enos.process import Shell
from enos.progress import Progress, Step
from enos.remote import PARALLEL, run_on
from enos.testbed import Host, Testbed
from enos_local import hostconfig, layout, networks
from enos_local.container import FILES, RM, daemon_json, put_files, scratch, write_files
from enos_local.layout import Node, Wire
from enos_local.settings import Settings

KEY = "id_ed25519"
READY_SECONDS = 90.0
BETWEEN_LOOKS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all the steps of an acquisition need to know.

    Attributes:
        directory: where the key is kept.
        flags: `docker create` flags every node gets.

    """

    session: str
    shell: Shell
    progress: Progress
    directory: Path
    settings: Settings
    image: str
    flags: tuple[str, ...]


def acquire(site: Site, demand: Demand, facts: Mapping[str, str]) -> Testbed:
    """Return the testbed, all of whose hosts answer; raises ProviderError."""
    with site.progress.step("networks"):
        wires = networks.ensure(site.shell, site.session, site.settings.subnets)
    key = ensure_key(site.shell, site.directory)
    found = existing(site.shell, site.session)
    indexes = {name: int(_labels(c)[layout.INDEX]) for name, c in found.items()}
    wanted = layout.nodes(site.session, demand, indexes)
    for name in sorted(found.keys() - {node.name for node in wanted}):
        site.progress.warn(f"{name} is no longer in the file; it runs until destroy")
    hosts = tuple(layout.host(node, wires, key) for node in wanted)
    with scratch(site.directory, "node-files") as folder:
        write_files(folder, node_files(site, wires, wanted, key))

        def work(node: Node, host: Host) -> None:
            with site.progress.step("node", host=node.name) as step:
                _make(site, node, wires, found.get(node.name), folder)
                _await(site, node, host, step)

        _at_once(work, wanted, hosts)
    if not networks.fill_in_checksums(site.shell, site.session, site.image):
        what = "this machine's end of the network `external` keeps its offloads"
        site.progress.warn(f"{what}: guests may answer nothing but ping from here")
    made = existing(site.shell, site.session)
    return Testbed(
        provider="local",
        hosts=tuple(layout.with_macs(host, wires, made[host.name]) for host in hosts),
        networks=tuple(wire.network() for wire in wires),
        facts={**facts, "node_image": site.image, **probe_kernel(site.shell, wanted)},
    )


def ensure_key(shell: Shell, directory: Path) -> Path:
    """Return the session's private SSH key, mode 0600, made when missing."""
    key = directory / KEY
    public = key.with_suffix(".pub")
    if key.exists() and public.exists():
        return key
    fresh = directory / "fresh"
    for path in (fresh, fresh.with_suffix(".pub")):
        path.unlink(missing_ok=True)
    shell.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "enos", "-f", fresh]
    )
    fresh.with_suffix(".pub").replace(public)
    fresh.replace(key)
    return key


def existing(shell: Shell, session: str) -> dict[str, dict[str, Any]]:
    """Return the session's containers by node name, as `docker inspect` shows them."""
    mark = f"label={layout.SESSION}={session}"
    listing = ("docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", mark)
    ids = shell.run(listing).stdout.split()
    if not ids:
        return {}
    done = shell.run(["docker", "container", "inspect", *ids], check=False)
    containers: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return {_labels(container)[layout.NODE]: container for container in containers}


def node_files(
    site: Site, wires: tuple[Wire, ...], wanted: Iterable[Node], key: Path
) -> dict[str, str]:
    """Return the files every node gets in /etc/enos."""
    nodes = tuple(wanted)
    direct = [str(wire.cidr) for wire in wires] + [node.name for node in nodes]
    proxies = hostconfig.proxies(os.environ, direct=direct)
    registries = [str(site.settings.subnets), *site.settings.insecure_registries]
    return {
        "authorized_keys": key.with_suffix(".pub").read_text(encoding="ascii"),
        "hosts": layout.hosts_file(nodes, wires[0]),
        "environment": "".join(f"{name}={value}\n" for name, value in proxies.items()),
        "daemon.json": daemon_json(registries=registries),
    }


def _make(
    site: Site,
    node: Node,
    wires: tuple[Wire, ...],
    found: Mapping[str, Any] | None,
    files: Path,
) -> None:
    status = found["State"]["Status"] if found else ""
    if status in {"created", "dead", "removing"}:  # an earlier run was killed
        _forget(site.shell, node)
        status = ""
    if not status:
        for argv in layout.create_node(
            site.session, node, wires, image=site.image, flags=site.flags
        ):
            _docker(site.shell, node, argv)
    put_files(site.shell, node.container, files)
    if status == "paused":
        _docker(site.shell, node, ("docker", "unpause", node.container))
    elif status != "running":
        _docker(site.shell, node, ("docker", "start", node.container))
    else:
        script = f"cat {FILES}/hosts > /etc/hosts"
        site.shell.run(["docker", "exec", node.container, "sh", "-c", script])
        _renew_images(site, node)


def _renew_images(site: Site, node: Node) -> None:
    script = ("docker", "exec", node.container, "sh", "/usr/lib/enos/renew-images")
    if site.shell.run(script, check=not site.settings.image).stdout.strip():
        what = "its Docker was restarted to take images made since its start"
        site.progress.decision(f"{node.name}: {what}")


def _docker(shell: Shell, node: Node, argv: tuple[str, ...]) -> None:
    done = shell.run(argv, check=False)
    if not done.ok:
        message = f"{node.name}: `docker {argv[1]}` failed for its container"
        hint = "`enos destroy --hard` removes the nodes, then start again"
        raise ProviderError(message, hint=hint, details=done.stderr.strip())


def _forget(shell: Shell, node: Node) -> None:
    shell.run([*RM, node.container], check=False)
    shell.run(["docker", "volume", "rm", "--force", node.container], check=False)


def _await(site: Site, node: Node, host: Host, step: Step) -> None:
    """Wait until systemd is up, Docker and SSH answer; raises ProviderError."""
    deadline = time.monotonic() + READY_SECONDS
    waits: tuple[tuple[str, Callable[[float], bool]], ...] = (
        ("systemd", lambda left: _booted(site, node, left)),
        ("Docker", lambda left: _docker_answers(site, node, left)),
        ("sshd", lambda left: _ssh_answers(site, host, left)),
    )
    for what, ready in waits:
        step.awaiting(f"{node.name}: {what}")
        while not _in_time(ready, deadline):
            if time.monotonic() > deadline or not _runs(site.shell, node):
                raise _dead(site.shell, node, what)
            time.sleep(BETWEEN_LOOKS)


def _in_time(ready: Callable[[float], bool], deadline: float) -> bool:
    """Ask with the seconds that are left; no answer in them is a no."""
    try:
        return ready(max(BETWEEN_LOOKS, deadline - time.monotonic()))
    except ProcessError:
        return False


def _booted(site: Site, node: Node, left: float) -> bool:
    ask = ("docker", "exec", node.container, "systemctl", "is-system-running", "--wait")
    said = site.shell.run(ask, check=False, timeout=left).stdout.strip()
    if said == "degraded":
        failed = ("systemctl", "list-units", "--failed", "--plain", "--no-legend")
        units = site.shell.run(["docker", "exec", node.container, *failed], check=False)
        names = [line.split()[0] for line in units.stdout.splitlines() if line.split()]
        site.progress.warn(f"{node.name}: failed units: {', '.join(names)}")
    return said in {"running", "degraded"}


def _docker_answers(site: Site, node: Node, left: float) -> bool:
    argv = ("docker", "exec", node.container, "docker", "version")
    return site.shell.run(argv, check=False, timeout=left).ok


def _ssh_answers(site: Site, host: Host, left: float) -> bool:
    return run_on(site.shell, host, ["true"], check=False, timeout=left).ok


def _runs(shell: Shell, node: Node) -> bool:
    ask = ("docker", "inspect", "--format", "{{.State.Running}}", node.container)
    return shell.run(ask, check=False).stdout.strip() == "true"


def _dead(shell: Shell, node: Node, what: str) -> ProviderError:
    log = shell.run(["docker", "logs", "--tail", "30", node.container], check=False)
    return ProviderError(
        f"{node.name}: {what} does not answer",
        hint=f"look with `docker logs {node.container}`; "
        "`enos destroy --hard` removes the nodes, then start again",
        details=(log.stdout + log.stderr).strip(),
    )


PROBE = """\
tc qdisc add dev lo root netem delay 1ms 2>/dev/null && echo netem=yes || echo netem=no
iptables -t mangle -A PREROUTING -j NFQUEUE --queue-num 1 --queue-bypass 2>/dev/null \
    && echo nfqueue=yes || echo nfqueue=no
"""


def probe_kernel(shell: Shell, wanted: Sequence[Node]) -> dict[str, str]:
    """Return what the kernel can do, tried in a throw-away namespace of a node."""
    enter = ("docker", "exec", wanted[0].container, "unshare", "--net", "sh", "-c")
    done = shell.run([*enter, PROBE])
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs if name in {"netem", "nfqueue"}}


def release(shell: Shell, progress: Progress, session: str) -> None:
    """Remove all that carries the session's label; harmless when nothing does."""
    mark = ("--filter", f"label={layout.SESSION}={session}")
    kinds: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
        (("docker", "ps", "--all", "--quiet", *mark), RM),
        (
            ("docker", "volume", "ls", "--quiet", *mark),
            ("docker", "volume", "rm", "--force"),
        ),
        (
            ("docker", "network", "ls", "--quiet", *mark),
            ("docker", "network", "rm"),
        ),
    )
    with progress.step("remove the nodes") as step:
        removed = 0
        for listing, remove in kinds:
            found = _listed(shell, listing)
            removed += len(found)
            if found:
                shell.run([*remove, *found])
        if not removed:
            step.skipped("nothing is left")


def _listed(shell: Shell, listing: tuple[str, ...]) -> list[str]:
    done = shell.run(listing, check=False)
    if not done.ok:
        message = "Docker does not answer, so the nodes cannot be removed"
        hint = "start it with `sudo systemctl start docker`, then run this again"
        raise CapabilityError(message, hint=hint, details=done.stderr.strip())
    return done.stdout.split()


def _at_once(
    work: Callable[[Node, Host], None], wanted: Sequence[Node], hosts: Sequence[Host]
) -> None:
    with ThreadPoolExecutor(min(PARALLEL, max(1, len(wanted)))) as pool:
        list(pool.map(work, wanted, hosts))


def _labels(container: Mapping[str, Any]) -> dict[str, str]:
    return dict(container["Config"]["Labels"])
