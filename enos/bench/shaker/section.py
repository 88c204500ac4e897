"""The `shaker:` section of a workload file and Shaker's own scenario files."""

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

CLASSES = ("flent", "iperf", "iperf3", "iperf_graph", "netperf", "shell")
"""Classes of tests Shaker 1.4.2 has executors for."""

_CHECKSUM = re.compile(r"sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageFile(_Part):
    """An image for guests, from the net."""

    url: str = Field(pattern=r"^(https?|file)://", description="qcow2 or raw.")
    checksum: str = Field(description="`sha256:<hex>` or `sha512:<hex>`.")

    @field_validator("checksum")
    @classmethod
    def _known(cls, value: str) -> str:
        if not _CHECKSUM.fullmatch(value):
            raise ValueError("expected `sha256:` or `sha512:` and hexadecimal digits")
        return value


class ShakerScenario(_Part):
    """One entry of `shaker: scenarios:`."""

    file: str = Field(
        description="A scenario of Shaker's (`openstack/perf_l2`), a file beside "
        "run.yml, or a shipped one."
    )
    name: str = Field(default="", description="A label, by default the file's name.")
    enabled: bool = Field(default=True, description="False leaves it out.")
    args: dict[str, Any] = Field(
        default={}, description="Replaces values of all its tests; lists make runs."
    )
    between: tuple[str, str] | None = Field(
        default=None,
        description="Two groups, roles or hosts: the nodes themselves send and "
        "receive, no guests.",
    )
    network: str = Field(
        default="",
        description="Name or role of the network nodes use, by default `tunnel`.",
    )


class ShakerSection(_Part):
    """`shaker:`, benchmarks of the data plane."""

    enabled: bool = Field(default=True, description="False leaves all of it out.")
    file: str = Field(default="", description="A single scenario.")
    args: dict[str, Any] = Field(default={}, description="For all scenarios.")
    between: tuple[str, str] | None = Field(
        default=None, description="For scenarios that do not say."
    )
    network: str = Field(default="", description="For scenarios that do not say.")
    image: str | ImageFile = Field(
        default="",
        description="Guests' image with Shaker's agent: a name in Glance, or "
        "`url` and `checksum`; by default one made here.",
    )
    flavor: str = Field(default="", description="Guests' flavor, by default m1.tiny.")
    scenarios: list[ShakerScenario] = Field(default=[], description="What to run.")

    @property
    def entries(self) -> tuple[ShakerScenario, ...]:
        """Return all scenarios, the single one first."""
        single = (ShakerScenario(file=self.file),) if self.file else ()
        return (*single, *self.scenarios)


class Accommodation(_Part):
    """The parts of `deployment: accommodation:` that are mappings."""

    density: int = Field(default=1, ge=1)
    compute_nodes: int = Field(default=1, ge=1)
    zones: list[str] = []


class Deployment(_Part):
    """`deployment:` of a scenario file."""

    template: str = ""
    env_file: str = ""
    support_templates: list[dict[str, str]] = []
    template_parameters: dict[str, Any] = {}
    agents: list[dict[str, Any]] = []
    accommodation: list[
        Literal[
            "pair",
            "alone",
            "double_room",
            "single_room",
            "mixed_room",
            "cross_az",
            "best_effort",
        ]
        | Accommodation
    ] = []
    override: dict[str, Any] = {}


class Test(BaseModel):
    """One entry of `execution: tests:`; the other keys are its class's."""

    __test__ = False  # not a test class, whatever pytest thinks of its name
    model_config = ConfigDict(extra="allow", frozen=True)

    kind: Literal["flent", "iperf", "iperf3", "iperf_graph", "netperf", "shell"] = (
        Field(alias="class")
    )
    title: str = ""
    time: int = Field(default=60, ge=1)
    sla: list[str] = []

    @model_validator(mode="after")
    def _complete(self) -> "Test":
        extra = self.model_extra or {}
        if self.kind == "shell" and not {"program", "script"} & set(extra):
            raise ValueError("a test of class `shell` needs a `program` or a `script`")
        return self


class Execution(_Part):
    """`execution:` of a scenario file."""

    progression: Literal["linear", "arithmetic", "quadratic", "geometric"] | None = None
    tests: list[Test] = Field(min_length=1)


class ScenarioFile(BaseModel):
    """A scenario file of Shaker's."""

    model_config = ConfigDict(extra="allow", frozen=True)

    title: str = ""
    description: str = ""
    deployment: Deployment = Deployment()
    execution: Execution
