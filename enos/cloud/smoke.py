"""Proving a cloud: a guest boots, answers ping, and shows its console.

    smoke(cloud, request, console=path, shell=…, progress=…) -> Smoke

The guest and its floating address are removed again, also after a failure.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enos.cloud.plan import KEYPAIR, PRIVATE, PUBLIC, Kind
from enos.cloud.rest import Cloud, Record, RefusedError, again
from enos.cloud.waiting import until
from enos.errors import CloudError
from enos.process import Shell
from enos.progress import Progress, Step
from enos.remote import run_on
from enos.testbed import Host

NAME = "enos-smoke"
READY = "enos-guest: ready"
_GONE = 404
_LEAVING = 60  # seconds a guest has to be gone once it was deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """A place to ping from.

    Attributes:
        host: None for the machine enos runs on.
        namespace: network namespace there, empty for the host's own; may contain
            ``{router}`` and ``{network}``, replaced by the ids.
        floating: which address is pinged, the floating or the fixed one.

    """

    host: Host | None = None
    namespace: str = ""
    floating: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is tried.

    Attributes:
        ids: of `CloudFacts`; what it does not hold (key pair, public network) is
            left out of the guest.
        image: id.
        flavor: name.
        zone: availability zone, ``nova:compute-1`` for one host; empty for any.
        vantages: tried in turn until one gets an answer.
        seconds: for the guest to become ACTIVE, and again to answer.
        marker: the console line that shows it came up whole, empty for none.

    """

    ids: Mapping[tuple[Kind, str], str]
    image: str
    flavor: str = "m1.nano"
    zone: str = ""
    vantages: tuple[Vantage, ...] = (Vantage(),)
    seconds: float = 180
    marker: str = READY


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke:
    """What came of it.

    Attributes:
        host: the compute node the guest ran on.
        address: that answered ping.
        seen_from: `enos` or a host, with the namespace.
        seconds_to_active: from the request.
        seconds_to_ping: from the request.
        ready: the console shows that the guest came up whole.

    """

    host: str
    address: str
    seen_from: str
    seconds_to_active: float
    seconds_to_ping: float
    ready: bool


def vantages(hosts: tuple[Host, ...], *, here: bool = True) -> tuple[Vantage, ...]:
    """Return the places to ping from, the most telling first; `here` is this machine.

    The floating address from here, then from each network node; the fixed address
    from the router's and the DHCP server's namespace on each network node.
    """
    own = (Vantage(),) if here else ()
    outside = (*own, *(Vantage(host=host) for host in hosts))
    inside = tuple(
        Vantage(host=host, namespace=namespace, floating=False)
        for host in hosts
        for namespace in ("qrouter-{router}", "qdhcp-{network}")
    )
    return (*outside, *inside)


def smoke(
    cloud: Cloud, request: Request, *, console: Path, shell: Shell, progress: Progress
) -> Smoke:
    """Boot a guest, ping it, save its console log and remove it.

    Raises CloudError when it does not become ACTIVE or answers nobody; the console
    log is saved all the same.
    """
    with progress.step("guest") as step:
        remove_leftovers(cloud, progress)
        began = time.monotonic()
        with _guest(cloud, request, progress) as server:
            try:
                shown = _active(cloud, server, request.seconds, step)
                to_active = time.monotonic() - began
                fixed, floating = _addresses(cloud, server, request, step)
                address, seen = _answered(
                    request, (fixed, floating), shell, step, _describe(shown)
                )
                to_ping = time.monotonic() - began
                ready = _came_up(cloud, server, request.marker, step)
            finally:
                _save_console(cloud, server, console)
        return Smoke(
            host=str(shown.get("OS-EXT-SRV-ATTR:host", "")),
            address=address,
            seen_from=seen,
            seconds_to_active=round(to_active, 1),
            seconds_to_ping=round(to_ping, 1),
            ready=ready,
        )


def remove_leftovers(cloud: Cloud, progress: Progress) -> None:
    """Remove what a smoke test that was killed left behind.

    Warns of a guest that does not go in time; raises CloudError when one is kept.
    """
    for server in cloud.get("compute", f"/servers?name={NAME}")["servers"]:
        _remove(cloud, str(server["id"]), progress)
    path = f"/floatingips?description={NAME}"
    for address in cloud.get("network", path)["floatingips"]:
        cloud.send("DELETE", "network", f"/floatingips/{address['id']}")


@contextmanager
def _guest(cloud: Cloud, request: Request, progress: Progress) -> Iterator[str]:
    flavors = {one["name"]: one["id"] for one in cloud.list(Kind.FLAVOR)}
    wanted: dict[str, Any] = {
        "name": NAME,
        "imageRef": request.image,
        "flavorRef": flavors[request.flavor],
        "networks": [{"uuid": request.ids[Kind.NETWORK, PRIVATE]}],
    }
    if (Kind.KEYPAIR, KEYPAIR) in request.ids:
        wanted["key_name"] = KEYPAIR
    if request.zone:
        wanted["availability_zone"] = request.zone
    made = cloud.send("POST", "compute", "/servers", {"server": wanted})
    try:
        yield str(made["server"]["id"])
    finally:
        try:
            remove_leftovers(cloud, progress)
        except CloudError as error:  # it must not hide why the guest failed
            left = f"guest `{NAME}` or its address stays: {error.message}"
            progress.warn(f"{left}; `enos init` removes it when it is run again")


def _active(cloud: Cloud, server: str, seconds: float, step: Step) -> Record:
    def look() -> Record | None:
        shown: Record = cloud.get("compute", f"/servers/{server}")["server"]
        task = shown.get("OS-EXT-STS:task_state") or ""
        step.awaiting(f"{shown['status']} {task}".strip())
        if shown["status"] == "ERROR":
            why = shown.get("fault", {}).get("message", "no reason given")
            hint = "`enos logs nova-compute` and `enos logs nova-scheduler` say more"
            raise CloudError(f"guest `{NAME}` failed: {why}", hint=hint)
        return shown if shown["status"] == "ACTIVE" else None

    found = until(look, seconds)
    if found is None:
        raise CloudError(
            f"guest `{NAME}` is not ACTIVE after {seconds:g} s",
            hint="`enos logs nova-compute` shows what the compute node does",
        )
    return found


def _addresses(
    cloud: Cloud, server: str, request: Request, step: Step
) -> tuple[str, str]:
    """Return the fixed and the floating address, that one empty without `public`."""
    ports = cloud.get("network", f"/ports?device_id={server}")["ports"]
    fixed = str(ports[0]["fixed_ips"][0]["ip_address"])
    public = request.ids.get((Kind.NETWORK, PUBLIC))
    if public is None:
        return fixed, ""
    step.awaiting("floating address")
    body = {
        "floating_network_id": public,
        "port_id": ports[0]["id"],
        "description": NAME,
    }
    made = cloud.send("POST", "network", "/floatingips", {"floatingip": body})
    return fixed, str(made["floatingip"]["floating_ip_address"])


def _answered(
    request: Request,
    addresses: tuple[str, str],
    shell: Shell,
    step: Step,
    guest: str,
) -> tuple[str, str]:
    """Return the address that answered and from where it was pinged."""
    fixed, floating = addresses

    def look() -> tuple[str, str] | None:
        for vantage in request.vantages:
            address = floating if vantage.floating else fixed
            if not address:
                continue
            place, argv = _ping(vantage, address, request.ids)
            step.awaiting(f"{address} answers ping from {place}")
            if _run(shell, vantage.host, argv):
                return address, place
        return None

    # Twice: the guest may have come up while the less telling places were tried.
    found = until(look, request.seconds) and look()
    if found is None:
        raise CloudError(
            f"{guest} answers no ping, neither at {fixed} nor at {floating or 'none'}",
            hint="see its console log, then `enos logs neutron`",
        )
    return found


def _ping(
    vantage: Vantage, address: str, ids: Mapping[tuple[Kind, str], str]
) -> tuple[str, tuple[str, ...]]:
    argv: tuple[str, ...] = ("ping", "-n", "-q", "-c", "2", "-W", "2", address)
    place = vantage.host.name if vantage.host else "this machine"
    if vantage.namespace:
        namespace = vantage.namespace.format(
            router=ids.get((Kind.ROUTER, "router"), ""),
            network=ids.get((Kind.NETWORK, PRIVATE), ""),
        )
        argv = ("ip", "netns", "exec", namespace, *argv)
        place = f"{place} ({namespace.partition('-')[0]})"
    return place, argv


def _run(shell: Shell, host: Host | None, argv: tuple[str, ...]) -> bool:
    if host is None:
        return shell.run(argv, check=False).ok
    return run_on(shell, host, argv, check=False, timeout=30).ok


def _came_up(cloud: Cloud, server: str, marker: str, step: Step) -> bool:
    step.awaiting("the last lines of its console")
    return until(lambda: marker in _console(cloud, server), 20)


def _save_console(cloud: Cloud, server: str, console: Path) -> None:
    console.parent.mkdir(parents=True, exist_ok=True)
    try:
        text = _console(cloud, server)
    except CloudError as error:
        text = f"the console log could not be had: {error.message}\n"
    console.write_text(text, encoding="utf-8")


def _console(cloud: Cloud, server: str) -> str:
    body: Mapping[str, Any] = {"os-getConsoleOutput": {}}
    shown = cloud.send("POST", "compute", f"/servers/{server}/action", body)
    return str(shown.get("output", ""))


def _remove(cloud: Cloud, server: str, progress: Progress) -> None:
    path = f"/servers/{server}"

    def gone() -> bool:
        return _missing(lambda: cloud.get("compute", path))

    def delete() -> Record:
        return again(lambda: cloud.send("DELETE", "compute", path))

    if not _missing(delete) and not until(gone, _LEAVING):
        progress.warn(
            f"guest `{NAME}` is still there {_LEAVING} s after it was deleted:"
            " `enos logs nova-compute` shows what the compute node does"
        )


def _missing(ask: Callable[[], Record]) -> bool:
    """Tell whether a request is answered by: there is no such thing."""
    try:
        ask()
    except RefusedError as error:
        if error.status != _GONE:
            raise
        return True
    return False


def _describe(shown: Record) -> str:
    host = shown.get("OS-EXT-SRV-ATTR:host", "")
    return f"guest `{NAME}` on {host}" if host else f"guest `{NAME}`"
