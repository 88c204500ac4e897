"""Traces of requests: what Rally and the bench host are told, what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enos.bench.results import ScenarioResult
from enos.errors import TraceError

HARVEST = Path(__file__).with_name("harvest.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiler:
    """What tracing takes.

    Attributes:
        key: signs the requests that are to be traced.
        store: ``redis://…`` of the store of trace points, with its password.

    """

    key: str = field(repr=False)
    store: str = field(repr=False)


def profiled(spec: Mapping[str, Any], profiler: Profiler | None) -> dict[str, Any]:
    """Return Rally's environment specification with the key.

    The address of the store stays out: Rally would write it, with its password, into
    the results of each iteration.
    """
    if profiler is None:
        return dict(spec)
    return {
        platform: {**one, "profiler_hmac_key": profiler.key}
        for platform, one in spec.items()
    }


def judge(results: Iterable[ScenarioResult]) -> None:
    """Raise TraceError naming each scenario of which traces are missing."""
    listed = tuple(results)
    lacking = [result for result in listed if result.trace_gap]
    if lacking:
        raise TraceError(
            f"traces are missing of {len(lacking)} of {len(listed)} scenarios",
            hint="see that the containers of valkey (2025.1: redis) run: `enos status`",
            details="\n".join(f"{one.name}: {one.trace_gap}" for one in lacking),
        )
