"""Arguments of scenarios: lists make runs, names tell them apart. Pure."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any


def combinations(args: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each combination of the values that are lists; scalars are in all.

    >>> list(combinations({"times": 10, "concurrency": [1, 2]}))
    [{'times': 10, 'concurrency': 1}, {'times': 10, 'concurrency': 2}]
    """
    values = [value if isinstance(value, list) else [value] for value in args.values()]
    for chosen in itertools.product(*values):
        yield dict(zip(args, chosen, strict=True))


def label(name: str, args: Mapping[str, Any], varying: Mapping[str, Any]) -> str:
    """Return the name of a run: the scenario's, and what tells it from its siblings."""
    told = [f"{key}={args[key]}" for key, value in varying.items() if _several(value)]
    return f"{name} [{', '.join(told)}]" if told else name


def _several(value: Any) -> bool:  # noqa: ANN401 - any YAML value
    return isinstance(value, list) and len(value) > 1
