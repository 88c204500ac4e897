"""Shaker, the benchmark of the data plane: scenarios to traffic figures.

`section` is what a workload file says, `scenario` what is to be run, `placement` where
agents go, `execution` runs it, `samples` computes the figures and `page` shows them.
`runner`, `node` and `flent` are programs for the bench host, the nodes and the guests.
"""
