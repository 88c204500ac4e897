"""Workload files to Rally runs, reports and verdicts."""
