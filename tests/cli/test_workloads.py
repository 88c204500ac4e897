"""`enos workloads` tells what can be run, and what for."""

import json
from collections.abc import Callable
from typing import Any

Enos = Callable[..., Any]


def test_workloads_are_listed_with_what_they_are_for(enos: Enos) -> None:
    told = enos("workloads")

    assert told.code == 0
    assert (
        "demo         A minute of benchmarks that touches Keystone, Neutron and Nova."
        in told.out.splitlines()
    )
    rows = json.loads(enos("workloads", "--json").out)
    assert rows["overlay"] == "What two guests on two computes can exchange."
