"""The advanced form: `provider.resources.machines`, a list of machines with roles."""

from typing import Any

from pydantic import AliasChoices, Field

from enos.config.reader import DEFAULT_GROUP, MOST, Reader
from enos.config.source import attempt
from enos.config.values import Names, Strict, Whole
from enos.config.wording import kind_of
from enos.config.yamltree import Loc
from enos.errors import meant

ADVANCED: Loc = ("provider", "resources")


class AdvancedMachine(Strict):
    """An item of `provider.resources.machines`, without the provider's own keys."""

    roles: Names = Field(
        min_length=1,
        validation_alias=AliasChoices("roles", "role"),
        description="Roles each of these machines plays.",
        examples=[["control", "network"]],
    )
    group: str = Field(
        default=DEFAULT_GROUP,
        description="Group they belong to; `grp[1-3]` asks for all this three times.",
        examples=["grp1"],
    )
    flavour: str = Field(
        default="",
        validation_alias=AliasChoices("flavour", "flavor", "cluster"),
        description="The testbed's word for the kind of machine.",
        examples=["clusterA"],
    )
    number: Whole = Field(
        default=1,
        ge=1,
        le=MOST,
        validation_alias=AliasChoices("number", "nodes"),
        description="How many.",
        examples=[2],
    )
    networks: Names = Field(
        default=[],
        description="Networks they are on; empty for all.",
        examples=[["n1"]],
    )
    primary_network: str = Field(
        default="", description="The first of `networks`.", examples=["n1"]
    )
    secondary_networks: Names = Field(
        default=[], description="The others of `networks`.", examples=[["n2"]]
    )


def advanced(reader: Reader, content: Any) -> None:  # noqa: ANN401 - YAML value
    """Read `provider.resources`."""
    form = "write `machines:` with a list of `{roles: […], number: …}`"
    if not isinstance(content, dict):
        reader.misshapen(ADVANCED, "`resources` of a provider must be a mapping", form)
        return
    for key in content:
        if key not in ("machines", "networks"):
            hint = meant(key, ("machines", "networks"))
            reader.misshapen((*ADVANCED, key), f"unknown key `{key}`", hint)
    several = content.get("machines")
    if not isinstance(several, list) or not several:
        what = f"`machines` must be a list, not {kind_of(several)}"
        reader.misshapen((*ADVANCED, "machines"), what, form)
        return
    model = type("Machine", (AdvancedMachine, reader.model), {})
    for number, one in enumerate(several):
        _advanced_machine(reader, model, one, number)


def _advanced_machine(
    reader: Reader,
    model: type[AdvancedMachine],
    content: Any,  # noqa: ANN401 - any YAML value
    number: int,
) -> None:
    loc = (*ADVANCED, "machines", number)
    read, problems = attempt(reader.document, model, content, loc)
    reader.problems += problems
    if read is None:
        reader.lost = True
        return
    own = set(reader.model.model_fields) & read.model_fields_set
    first = (read.primary_network,) if read.primary_network else ()
    keys = {
        "flavour": read.flavour,
        "number": read.number,
        "networks": (*first, *read.secondary_networks, *read.networks),
        "extra": read.model_dump(mode="json", include=own),
    }
    reader.take(loc, read.group, tuple(read.roles), keys)
