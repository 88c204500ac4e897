"""The `provider:` section of an experiment on this machine."""

from ipaddress import IPv4Network
from typing import Annotated

from pydantic import Field

from enos.provider import ProviderSettings


class Settings(ProviderSettings):
    """What can be chosen about the nodes.

    Attributes:
        cpus: cores each node may use; all of them when unset.
        memory: memory each node may use, e.g. ``8g``; all of it when unset. Only
            where the kernel's cgroups can limit it.
        image: a node image of one's own in place of the one enos builds.
        subnets: where free /24 networks are looked for.
        insecure_registries: registries the nodes may use without TLS, besides
            those on the nodes' own network.

    """

    cpus: Annotated[float, Field(gt=0)] | None = None
    memory: Annotated[str, Field(pattern=r"^[1-9]\d*[mg]$")] | None = None
    image: str | None = None
    subnets: IPv4Network = IPv4Network("172.28.0.0/14")
    insecure_registries: tuple[str, ...] = ()
