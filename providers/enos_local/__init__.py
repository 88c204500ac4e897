"""Provider `local`: the machine in front of you as a testbed."""

from enos_local.local import Local

__all__ = ["Local"]
