"""The sections of the experiment file.

Everything here is about spelling: which keys there are, what they mean, their
defaults. `enos.config.values` has the kinds of values, `enos.config.schema` puts the
sections together.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from enos.config.values import (
    Bandwidth,
    Delay,
    Loss,
    Names,
    Strict,
    Whole,
)
from enos.config.wording import keys_of


class LossModel(Strict):
    """Losses in bursts: the Gilbert-Elliott model in the terms of tc-netem(8)."""

    p: Loss = Field(
        description="Chance, for each packet, of going from the good state to the bad.",
        examples=["1%"],
    )
    r: Loss | None = Field(
        default=None,
        description="Chance of going back; left out, `1 - p`: independent losses.",
        examples=["10%"],
    )
    bad: Loss | None = Field(
        default=None,
        validation_alias="1-h",
        description="Share lost in the bad state; left out, all.",
        examples=["70%"],
    )
    good: Loss | None = Field(
        default=None,
        validation_alias="1-k",
        description="Share lost in the good state; left out, none.",
        examples=["0.1%"],
    )


def _kind_of_loss(value: object) -> str:
    return "gemodel" if isinstance(value, dict | LossModel) else "loss"


AnyLoss = Annotated[
    Annotated[Loss, Tag("loss")] | Annotated[LossModel, Tag("gemodel")],
    Discriminator(_kind_of_loss),
]
"""A share, or a model; the tags are what messages name."""


class Constraint(Strict):
    """One direction between two groups or roles."""

    src: str = Field(
        description="Group or role the packets leave from; `grp[1-3]` names three.",
        examples=["grp1"],
    )
    dst: str = Field(
        validation_alias=AliasChoices("dst", "dest"),
        description="Group or role they arrive at.",
        examples=["grp[2-4]"],
    )
    delay: Delay | None = Field(
        default=None,
        description="One way; left out, the default. Symmetric 25 ms make 50 ms RTT.",
        examples=["25ms"],
    )
    rate: Bandwidth | None = Field(
        default=None, description="Left out, the default.", examples=["10Gbit"]
    )
    loss: AnyLoss | None = Field(
        default=None,
        description="Share of packets dropped, or a mapping that says how they come in"
        " bursts; left out, the default.",
        examples=["0.1%"],
    )
    jitter: Delay | None = Field(
        default=None,
        description="Spread of the delay, at most as long.",
        examples=["1ms"],
    )
    distribution: Literal["uniform", "normal", "pareto", "paretonormal"] | None = Field(
        default=None,
        description="How delays spread: `jitter` is the half-width of `uniform`, else"
        " the scale of netem's tables. Left out, `uniform`.",
        examples=["normal"],
    )
    delay_correlation: Loss | None = Field(
        default=None,
        validation_alias=AliasChoices("delay_correlation", "correlation"),
        description="Of the delays of one packet and the next; needs `jitter`.",
        examples=["25%"],
    )
    loss_correlation: Loss | None = Field(
        default=None,
        description="Of the losses of one packet and the next; needs `loss`.",
        examples=["25%"],
    )
    duplicate: Loss | None = Field(
        default=None,
        description="Share of packets that arrive twice.",
        examples=["1%"],
    )
    reorder: Loss | None = Field(
        default=None,
        description="Share of packets that overtake the delayed ones; needs `delay`.",
        examples=["5%"],
    )
    reorder_correlation: Loss | None = Field(
        default=None,
        description="Of the overtaking of one packet and the next; needs `reorder`.",
        examples=["50%"],
    )
    corrupt: Loss | None = Field(
        default=None,
        description="Share of packets with one bit turned.",
        examples=["0.1%"],
    )
    limit: Whole | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Packets that may wait; left out, enough to lose none.",
        examples=[1000],
    )
    symmetric: bool = Field(
        default=False,
        validation_alias=AliasChoices("symmetric", "symetric"),
        description="The same from `dst` to `src`.",
        examples=[True],
    )
    network: str = Field(
        default="",
        description="Only on the network of this name or role; empty for all.",
        examples=["api"],
    )


class Constraints(Strict):
    """Delay, rate and loss between groups.

    A single constraint may be written without the list around it.
    """

    enable: bool = Field(
        default=True, description="`false` removes all rules.", examples=[True]
    )
    default_delay: Delay | None = Field(
        default=None,
        description="Between every two distinct groups, one way.",
        examples=["10ms"],
    )
    default_rate: Bandwidth | None = Field(
        default=None,
        description="Between every two distinct groups.",
        examples=["1Gbit"],
    )
    default_loss: Loss | None = Field(
        default=None,
        description="Between every two distinct groups.",
        examples=["0%"],
    )
    constraints: list[Constraint] = Field(
        default=[],
        description="Exceptions from the defaults.",
        examples=[[{"src": "grp1", "dst": "grp2", "delay": "25ms"}]],
    )
    exclude: Names = Field(
        default=[],
        validation_alias=AliasChoices("except", "exclude"),
        description="Groups or roles the defaults leave alone.",
        examples=[["grp3"]],
    )
    groups: Names = Field(
        default=[],
        description="The only groups the defaults hold between; roles named here count "
        "as groups. Empty for all groups.",
        examples=[["grp1", "grp2"]],
    )
    network: str = Field(
        default="",
        validation_alias=AliasChoices("network", "default_network"),
        description="The only network the defaults hold on; empty for all.",
        examples=["api"],
    )

    @model_validator(mode="before")
    @classmethod
    def _unflatten(cls, value: Any) -> Any:  # noqa: ANN401 - any YAML value
        """Put a single constraint that stands alone into a list."""
        if not isinstance(value, dict) or "constraints" in value:
            return value
        if not {"src", "dst", "dest"} & set(value):
            return value
        inside = {*keys_of(Constraint), "dest", "symetric"}
        alone = {key: one for key, one in value.items() if key in inside}
        rest = {key: one for key, one in value.items() if key not in inside}
        return {**rest, "constraints": [alone]}


class Registry(Strict):
    """Where the machines get container images from; a word stands for its `type`."""

    type: Literal["none", "internal", "external"] = Field(
        default="none",
        description="No registry, one that enos starts, or one that is there.",
        examples=["internal"],
    )
    ip: str = Field(
        default="",
        description="Address or name of an external registry.",
        examples=["10.0.0.1"],
    )
    port: Whole = Field(
        default=5000, ge=1, le=65535, description="Its port.", examples=[5000]
    )
    ceph: Any = Field(default=None, deprecated="a registry on Ceph is not supported")
    ceph_keyring: Any = Field(default=None, deprecated="it belongs to `ceph`")
    ceph_id: Any = Field(default=None, deprecated="it belongs to `ceph`")
    ceph_rbd: Any = Field(default=None, deprecated="it belongs to `ceph`")
    ceph_mon_host: Any = Field(default=None, deprecated="it belongs to `ceph`")

    @model_validator(mode="after")
    def _reachable(self) -> "Registry":
        if self.type == "external" and not self.ip:
            raise ValueError("an external registry needs its `ip`")
        if self.type != "external" and self.ip:
            raise ValueError("`ip` is for a registry of type `external`")
        return self


class Images(Strict):
    """Where OpenStack's container images come from; a word stands for `source`."""

    source: Literal["auto", "pull", "build"] = Field(
        default="auto",
        description="Kolla's own from quay.io, built here, or whichever can be had.",
        examples=["build"],
    )


class Guest(Strict):
    """The image the virtual machines of the experiment boot."""

    url: str = Field(
        pattern=r"^(https?|file)://",
        description="Where it is downloaded from; qcow2 or raw.",
        examples=[
            "https://download.cirros-cloud.net/0.6.3/cirros-0.6.3-x86_64-disk.img"
        ],
    )
    checksum: str = Field(
        pattern=r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$",
        description="`sha256:` or `sha512:` and the digest.",
        examples=[f"sha256:{'0' * 64}"],
    )
    user: str = Field(
        default="root",
        description="The account in it that takes SSH keys.",
        examples=["cirros"],
    )
