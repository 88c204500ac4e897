"""The experiment file as its author writes it: the one schema.

`resources`, `topology` and the machines inside `provider` have too many forms for a
schema to tell apart with good messages: `enos.config.topology` reads them.
"""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, WithJsonSchema

from enos.config.monitoring import MonitoringSection
from enos.config.sections import Constraints, Guest, Images, Registry
from enos.config.values import Strict, Whole, sourced, text, typed

DIALECT = "https://json-schema.org/draft/2020-12/schema"
RELEASES = ("2025.1", "2025.2", "2026.1")
WORDS = {
    "registry": ("none", "internal", "external"),
    "images": ("auto", "pull", "build"),
}
"""Section → words that may stand for it."""
ROLES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": {"type": ["integer", "object", "array"], "minimum": 1},
}
TREE = WithJsonSchema(
    {"type": "object", "additionalProperties": {**ROLES, "type": ["object", "array"]}}
)
SECTION = WithJsonSchema(
    {
        "oneOf": [
            {"type": "string"},
            {
                "type": "object",
                "properties": {"type": {"type": "string"}},
                "required": ["type"],
            },
        ]
    }
)
EVENTS = WithJsonSchema({"type": ["array", "object", "string"]})


class ExperimentFile(Strict):
    """One experiment: machines, OpenStack, network, in one YAML file."""

    name: str = Field(
        default="", description="What the experiment is called.", examples=["wan"]
    )
    provider: Annotated[dict[str, Any], BeforeValidator(typed), SECTION] = Field(
        default={"type": "local"},
        description="The testbed: its name, or a mapping of `type` and its own keys.",
        examples=["local"],
    )
    resources: Annotated[Any, TREE] = Field(
        default=None,
        description="Machines: flavour, role, number; see the forms above.",
        examples=[{"clusterA": {"control": 1}, "clusterB": {"compute": 2}}],
    )
    topology: Annotated[Any, TREE] = Field(
        default=None,
        description="Machines in groups: group, flavour, role, number. Takes the place"
        " of `resources`.",
        examples=[{"grp1": {"clusterA": {"control": 1}}}],
    )
    network_constraints: Constraints = Field(
        default=Constraints(),
        validation_alias=AliasChoices("network_constraints", "network constraints"),
        description="Delay, rate and loss between groups.",
        examples=[{"src": "grp1", "dst": "grp2", "delay": "25ms", "symmetric": True}],
    )
    events: Annotated[Any, EVENTS] = Field(
        default=None,
        description="What changes while a benchmark runs: a list, see its forms below.",
        examples=[["at 60s: delay 100ms", "at 120s: heal"]],
    )
    release: Annotated[Literal["2025.1", "2025.2", "2026.1"], BeforeValidator(text)] = (
        Field(
            default="2026.1",
            description="OpenStack release.",
            examples=["2025.2"],
        )
    )
    kolla_ansible: str = Field(
        default="",
        validation_alias=AliasChoices("kolla-ansible", "kolla_ansible"),
        description="pip requirement of kolla-ansible; chooses the release.",
        examples=["kolla-ansible~=22.0"],
    )
    kolla: dict[str, Any] = Field(
        default={},
        description="Variables of kolla-ansible (`globals.yml`), passed on verbatim.",
        examples=[{"enable_neutron_dvr": "yes"}],
    )
    inventory: str = Field(
        default="",
        description="Ansible inventory to use in place of kolla-ansible's `multinode`.",
        examples=["inventories/multinode"],
    )
    registry: Annotated[Registry, BeforeValidator(typed)] = Field(
        default=Registry(),
        description="Where the machines get container images from.",
        examples=["internal"],
    )
    images: Annotated[Images, BeforeValidator(sourced)] = Field(
        default=Images(),
        description="Where the container images come from.",
        examples=["build"],
    )
    virt: Literal["qemu", "kvm", "fake"] = Field(
        default="qemu",
        description="How computes run guests: emulated, by KVM, or not at all.",
        examples=["kvm"],
    )
    fake_computes: Whole = Field(
        default=1,
        ge=1,
        description="Fake computes on each compute machine, with `virt: fake`.",
        examples=[10],
    )
    guest_image: Guest | None = Field(
        default=None,
        description="Image of the guests; left out, one that enos builds.",
        examples=[{"url": "file:///srv/guest.qcow2", "checksum": f"sha256:{'0' * 64}"}],
    )
    osprofiler: bool = Field(
        default=False,
        description="Services record trace points of requests that ask for it.",
        examples=[True],
    )
    enable_monitoring: bool = Field(
        default=False,
        description="Measure machines, containers and services from `enos up` on.",
        examples=[True],
    )
    monitoring: MonitoringSection = Field(
        default=MonitoringSection(),
        description="How they are measured, with `enable_monitoring: true`.",
        examples=[{"interval": "10s"}],
    )
    hosts: Any = Field(
        default=None,
        description="A place for YAML anchors; enos does not read it.",
        examples=[{"one": {"address": "10.0.0.1"}}],
    )
    kolla_repo: Any = Field(
        default=None,
        deprecated="kolla-ansible comes from PyPI: choose it with `release`",
    )
    kolla_ref: Any = Field(
        default=None,
        deprecated="kolla-ansible comes from PyPI: choose it with `release`",
    )
    docker_version: Any = Field(
        default=None, deprecated="the version of Docker comes with the machines"
    )
    patches: Any = Field(
        default=None, deprecated="put configuration under `kolla: node_custom_config`"
    )
    os_env: Any = Field(
        default=None, deprecated="credentials are generated for each experiment"
    )
    rally_pip: Any = Field(
        default=None, deprecated="Rally comes with versions that are pinned"
    )


def experiment_schema() -> dict[str, Any]:
    """Return the JSON Schema of the experiment file (draft 2020-12).

    It describes what the validation accepts: all spellings and short forms, the keys
    that have no effect as deprecated.
    """
    schema = ExperimentFile.model_json_schema(mode="validation")
    keys = schema["properties"]
    for name, words in WORDS.items():
        short = {"type": "string", "enum": list(words)}
        keys[name] = {"anyOf": [short, keys[name]]}
    keys["release"]["anyOf"] = [{"enum": [*RELEASES, *map(float, RELEASES)]}]
    for told_apart in ("enum", "type"):
        keys["release"].pop(told_apart)
    parts = schema["$defs"]
    flat = parts["Constraint"]["properties"]
    parts["Constraints"]["properties"] = {**flat, **parts["Constraints"]["properties"]}
    return {"$schema": DIALECT, **schema}
