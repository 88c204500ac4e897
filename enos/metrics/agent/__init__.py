"""What runs on the machines, inside collectd's Python; see `enos.metrics.plan`."""
