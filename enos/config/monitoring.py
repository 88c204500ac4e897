"""The `monitoring:` section: how often and where to."""

from dataclasses import dataclass, replace

from pydantic import Field, field_validator

from enos.config.values import Delay, Strict, Whole
from enos.units import Duration

OFTEN, SELDOM = 1.0, 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """What an experiment asks of its monitoring.

    Attributes:
        interval: seconds between two samples of the same thing.
        port: of the database on the API network.
        grafana: beside the database, where its image can be had.

    """

    interval: float = 5.0
    port: int = 8086
    grafana: bool = False


class MonitoringSection(Strict):
    """How the machines are measured, with `enable_monitoring: true`."""

    interval: Delay | None = Field(
        default=None,
        description="Between two samples, 1 s to 300 s; left out, 5 s.",
        examples=["10s"],
    )
    port: Whole = Field(
        default=8086,
        ge=1,
        le=65535,
        description="Of the database, on the API network.",
        examples=[8086],
    )

    grafana: bool = Field(
        default=False,
        description="Grafana beside the database, where its image can be had.",
        examples=[True],
    )

    @field_validator("interval")
    @classmethod
    def _bearable(cls, interval: Duration | None) -> Duration | None:
        if interval is not None and not OFTEN <= interval.ms / 1000 <= SELDOM:
            raise ValueError(f"a sample every {interval}: write 1s to 300s")
        return interval

    def monitoring(self) -> Monitoring:
        """Return it as the rest of enos sees it."""
        usual = Monitoring(port=self.port, grafana=self.grafana)
        if self.interval is None:
            return usual
        return replace(usual, interval=self.interval.ms / 1000)
