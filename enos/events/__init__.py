"""What changes while a benchmark runs: links, partitions, services, machines.

    ground = Ground(testbed=testbed, constraints=constraints, backend=backend, …)
    plan = plan_events(timeline, ground)            # pure; plan.lines, step.text
    with Conductor(plan, where, tell) as conductor: # machines armed, leases renewed
        conductor.began("boot and delete a server") # starts the clock
        ...                                         # healed when the block ends
    judge(happened)                                 # EmulationError

Stands on `enos.netem`: a change of links is another plan of the same emulation.
"""

from enos.events.conductor import Conductor
from enos.events.field import Field, Found, finish, look
from enos.events.plan import EventsPlan, Step, starts
from enos.events.planner import emulations, plan_events
from enos.events.record import Happened, as_csv, judge, why
from enos.events.scripts import Place
from enos.events.situation import Ground

__all__ = [
    "Conductor",
    "EventsPlan",
    "Field",
    "Found",
    "Ground",
    "Happened",
    "Place",
    "Step",
    "as_csv",
    "emulations",
    "finish",
    "judge",
    "look",
    "plan_events",
    "starts",
    "why",
]
