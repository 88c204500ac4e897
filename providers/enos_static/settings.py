"""What an experiment on one's own machines says about them and their networks."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from enos.provider import ProviderSettings

# Kolla's names for what a network carries, which files use as roles, and ours.
ROLES: Mapping[str, str] = {
    "network_interface": "api",
    "api_interface": "api",
    "neutron_external_interface": "external",
    "tunnel_interface": "tunnel",
    "api": "api",
    "external": "external",
    "tunnel": "tunnel",
}


class StaticNetwork(BaseModel):
    """A network the machines are on already.

    Attributes:
        roles: what it carries: `api`, `external`, `tunnel` or Kolla's names for them.
        start: first address free for VIPs and floating addresses.
        end: last such address.

    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    roles: Annotated[tuple[str, ...], Field(min_length=1)]
    cidr: IPv4Network
    name: str = ""
    gateway: IPv4Address | None = None
    dns: tuple[str, ...] = ()
    start: IPv4Address | None = None
    end: IPv4Address | None = None

    @field_validator("roles", "dns", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("roles")
    @classmethod
    def _known(cls, roles: tuple[str, ...]) -> tuple[str, ...]:
        for role in roles:
            if role not in ROLES:
                msg = f"`{role}` is no role of a network: write {', '.join(ROLES)}"
                raise ValueError(msg)
        return tuple(dict.fromkeys(ROLES[role] for role in roles))

    @model_validator(mode="after")
    def _inside(self) -> Self:
        for name in ("gateway", "start", "end"):
            address = getattr(self, name)
            if address and address not in self.cidr:
                msg = f"`{name}` {address} is not in {self.cidr}"
                raise ValueError(msg)
        if (self.start is None) != (self.end is None):
            msg = "`start` and `end` come together"
            raise ValueError(msg)
        if self.start and self.end and self.start > self.end:
            msg = f"`start` {self.start} is after `end` {self.end}"
            raise ValueError(msg)
        return self


class Settings(ProviderSettings):
    """The networks of the machines; without any, the one SSH uses."""

    networks: tuple[StaticNetwork, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [network.name or network.roles[0] for network in self.networks]
        if len(set(names)) != len(names):
            msg = "networks with the same first role need a `name` each"
            raise ValueError(msg)
        return self


class Machine(ProviderSettings):
    """One machine, as the file writes it.

    Attributes:
        address: what SSH connects to.
        alias: its name in the experiment; without one, its role and a number.
        keyfile: private key; without one, SSH's own choice.
        jump: ``[user@]host[:port]`` of an SSH jump host.
        sudo: whether `user` becomes root by sudo; yes unless `user` is root.
        extra: Ansible host variables.

    """

    address: Annotated[str, Field(min_length=1, pattern=r"^[^-\s]\S*$")]
    alias: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$")] | None = None
    user: Annotated[str, Field(pattern=r"^[^-\s]\S*$")] = "root"
    port: Annotated[int, Field(ge=1, le=65535)] = 22
    keyfile: Path | None = None
    jump: Annotated[str, Field(pattern=r"^([^-\s]\S*)?$")] = ""
    sudo: bool | None = None
    extra: Mapping[str, str] = Field(default={})

    @field_validator("extra", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {key: str(text) for key, text in value.items()}
