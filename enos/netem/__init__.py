"""Delay, rate, loss between groups: constraints to plan to commands to proof.

Usable alone. Planning is pure, so a plan can be printed anywhere:

    from enos.netem import Backend, commands, plan_emulation
    plan = plan_emulation(constraints, testbed, vips=(), controller=())
    for rule in plan.rules(): ...                   # one per (interface, destination)
    idle_defaults(constraints, testbed)             # why defaults shape nothing, or ""
    for host, told in commands(plan, Backend.NETEM).items(): print(told.text)

Acting takes a `Shell` and a `Progress`, and works on all hosts at once or not at all:

    choice = probe_backend(testbed, shell, progress, plans=[plan]) # Choice
    pairs = pairs_to_measure(plan, testbed)                     # or every=True
    pairs_in_all(plan, testbed)                                 # 200 are measured
    baseline = measure(pairs, testbed, shell, progress)         # before shaping
    apply(plan, testbed, shell, progress, backend=choice.backend)
    check(plan, testbed, shell, backend=choice.backend)         # daemon dead?
    found = measure(pairs, testbed, shell, progress, baseline=baseline)     # to_json
    several = verdicts(found, baseline)                         # Verdict, to_json
    table(several)                                              # rows under HEADER
    require(several)                                            # or EmulationError
    reset(testbed, shell, progress)                             # only what enos added

`controller_addresses(shell)` gives what `controller` wants: where this machine is one
of the hosts, its SSH connections are spared. `apply`, `check`, `measure`, `reset` and
`probe_backend` take `sockets=` as `enos.remote` does. Failures are EmulationError, or
CapabilityError where a host lacks a program or the kernel a feature.
"""

from enos.netem.act import apply, check, controller_addresses, reset
from enos.netem.backend import Choice, choose, probe_backend
from enos.netem.commands import Backend, HostCommands, commands
from enos.netem.expected import cut_off
from enos.netem.measure import measure
from enos.netem.measurement import (
    MeasuredPair,
    Measurement,
    Pair,
    Trips,
    pairs_in_all,
    pairs_to_measure,
)
from enos.netem.plan import EmulationPlan, Flow, Interface, Peer, Rule, Vip
from enos.netem.planner import idle_defaults, plan_emulation
from enos.netem.shaping import Shaping
from enos.netem.shortcomings import shortcomings
from enos.netem.verdict import HEADER, Verdict, require, table, verdicts

__all__ = [
    "HEADER",
    "Backend",
    "Choice",
    "EmulationPlan",
    "Flow",
    "HostCommands",
    "Interface",
    "MeasuredPair",
    "Measurement",
    "Pair",
    "Peer",
    "Rule",
    "Shaping",
    "Trips",
    "Verdict",
    "Vip",
    "apply",
    "check",
    "choose",
    "commands",
    "controller_addresses",
    "cut_off",
    "idle_defaults",
    "measure",
    "pairs_in_all",
    "pairs_to_measure",
    "plan_emulation",
    "probe_backend",
    "require",
    "reset",
    "shortcomings",
    "table",
    "verdicts",
]
