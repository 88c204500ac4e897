"""What scenarios run in, and Shaker's options and credentials for it. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from enos.bench.shaker.scenario import ShakerRun, Where
from enos.testbed import Testbed

PORT = 15210
"""Where Shaker's server listens on the bench host."""

POLLING = 1  # seconds between an agent's questions
JOINING = {Where.NODES: 60, Where.GUESTS: 900, Where.BENCH_HOST: 60}
"""Seconds for agents to come up. Emulated guests take their time."""

LOSING = {Where.NODES: 20, Where.GUESTS: 60, Where.BENCH_HOST: 60}
"""Seconds past the end of its test after which a silent agent is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guests:
    """What guests are booted with.

    Attributes:
        image: name in Glance.
        network: name of the external network their routers get.
        relay: address of this machine that guests reach and the bench host's own
            networks are not reached from; empty when they reach the bench host.
        names: DNS servers.

    """

    image: str
    flavor: str
    network: str
    relay: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What scenarios run in.

    Attributes:
        spec: of `rally.env_spec`.
        guests: makes ready what guests are booted with; raises CapabilityError,
            ImageError or CloudError when there cannot be any.

    """

    testbed: Testbed
    spec: Mapping[str, Any]
    guests: Callable[[], Guests]


def credentials(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables by which Shaker's options know a cloud."""
    cloud = spec["existing@openstack"]
    admin = cloud["admin"]
    insecure = bool(cloud.get("https_insecure"))
    found = {
        "OS_AUTH_URL": cloud["auth_url"],
        "OS_USERNAME": admin["username"],
        "OS_PASSWORD": admin["password"],
        "OS_PROJECT_NAME": admin["project_name"],
        "OS_USER_DOMAIN_NAME": admin["user_domain_name"],
        "OS_PROJECT_DOMAIN_NAME": admin["project_domain_name"],
        "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": cloud.get("region_name", ""),
        "OS_INTERFACE": cloud.get("endpoint_type", ""),
        "OS_CACERT": cloud.get("https_cacert", ""),
        "OS_INSECURE": "true" if insecure else "",
    }
    return {name: str(value) for name, value in found.items() if value}


def options(run: ShakerRun, guests: Guests | None, address: str) -> list[str]:
    """Return Shaker's options for a run whose server is reached at an address."""
    listed = [
        *("--server-endpoint", f"{address}:{PORT}"),
        *("--scenario", "one"),  # required, and given otherwise
        *("--polling-interval", str(POLLING)),
        *("--agent-join-timeout", str(JOINING[run.where])),
        *("--agent-loss-timeout", str(LOSING[run.where])),
    ]
    if guests is not None:
        listed += ["--image-name", run.image or guests.image]
        listed += ["--flavor-name", run.flavor or guests.flavor]
        listed += ["--external-net", guests.network]
        listed += ["--stack-name", f"shaker_{run.key.replace('-', '_')}"]
        if guests.names:
            listed += ["--dns-nameservers", ",".join(guests.names)]
    return listed
