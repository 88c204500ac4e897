"""The state of an experiment: which phases are done and what was acquired.

Frozen: a phase returns a new record and the directory writes it. The file is JSON
with a version; `MIGRATIONS` brings an older one up to date.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from enos import testbed as testbeds
from enos.errors import StateError
from enos.testbed import Testbed

VERSION = 1
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""version → function that returns the next version's JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRecord:
    """How far a phase got.

    Attributes:
        status: `running`, `done` or `failed`; `running` without a live enos means
            that it was killed.
        started: seconds since the epoch, likewise `finished` (0 while running).
        facts: what the phase wants to remember, JSON values only.

    """

    status: str
    started: float
    finished: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that `destroy` needs, and what the other phases left.

    Attributes:
        session: id of the experiment, ``enos-3f9a2c``.
        provider: name of the provider and its settings as given.
        source: path of the experiment file the user edits, read again by each phase.

    """

    session: str
    provider: str
    source: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    phases: Mapping[str, PhaseRecord] = field(default_factory=dict)
    testbed: Testbed | None = None

    def with_phase(self, name: str, record: PhaseRecord) -> Self:
        """Return a copy in which a phase has this record."""
        return replace(self, phases={**self.phases, name: record})

    def without_phases(self, *names: str) -> Self:
        """Return a copy in which these phases never ran."""
        kept = {name: ran for name, ran in self.phases.items() if name not in names}
        return replace(self, phases=kept)

    def done(self, phase: str) -> bool:
        """Tell whether a phase has been completed."""
        return phase in self.phases and self.phases[phase].status == "done"


def to_json(state: State) -> dict[str, Any]:
    """Return the state as JSON values."""
    return {
        "version": VERSION,
        "session": state.session,
        "source": state.source,
        "provider": {"type": state.provider, "settings": dict(state.settings)},
        "phases": {
            name: {
                "status": ran.status,
                "started": ran.started,
                "finished": ran.finished,
                "facts": dict(ran.facts),
            }
            for name, ran in state.phases.items()
        },
        "testbed": testbeds.to_json(state.testbed) if state.testbed else None,
    }


def from_json(plain: dict[str, Any]) -> State:
    """Return the state that `to_json` wrote, in this or an older version.

    Raises StateError for a version this enos does not know.
    """
    while plain["version"] in MIGRATIONS:
        plain = MIGRATIONS[plain["version"]](plain)
    if plain["version"] != VERSION:
        raise StateError(
            f"the state has version {plain['version']}, this enos reads {VERSION}",
            hint="use the enos that wrote it, named in the journal",
        )
    found = plain["testbed"]
    return State(
        session=plain["session"],
        provider=plain["provider"]["type"],
        source=plain["source"],
        settings=plain["provider"]["settings"],
        phases={name: PhaseRecord(**ran) for name, ran in plain["phases"].items()},
        testbed=testbeds.from_json(found) if found else None,
    )
