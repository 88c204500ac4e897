"""Measures of machines, containers and services: agents, their database, its answers.

plan_monitoring(testbed, monitoring) -> MonitoringPlan    files and programs per host
converge(plan, …), remove(plan, …)                        make it so, undo it
series.query(database, …) -> tuple[Series, ...]           what was measured
gaps.find(…) -> tuple[Gap, ...]                           where nothing was measured
"""
