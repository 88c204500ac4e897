"""A value at a time, and rates from counters."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """One value of one measure on this machine.

    Attributes:
        instance: which of several, empty for the machine as a whole.
        unit: of the value, or of its rate if it is a counter.
        counter: the value only grows, and its rate per second is what matters.

    """

    measure: str
    value: float
    unit: str
    instance: str = ""
    counter: bool = False


@dataclass
class Rates:
    """Turns counters into rates per second; remembers each counter's last value.

    A counter that went back (its container was started again) starts anew.
    """

    forget: float = 600.0
    _last: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def value(self, when: float, sample: Sample) -> float | None:
        """Return the value or the rate; None for the first value of a counter."""
        if not sample.counter:
            return sample.value
        key = (sample.measure, sample.instance)
        before, self._last[key] = self._last.get(key), (when, sample.value)
        if before is None or when <= before[0] or sample.value < before[1]:
            return None
        return (sample.value - before[1]) / (when - before[0])

    def sweep(self, when: float) -> None:
        """Forget counters nobody has seen for long: their containers are gone."""
        gone = [key for key, last in self._last.items() if when - last[0] > self.forget]
        for key in gone:
            del self._last[key]
