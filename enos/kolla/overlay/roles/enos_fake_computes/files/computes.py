"""Run a nova-compute for each folder of /etc/nova/hosts, forked from one parent.

Nova is imported once, so that a compute host costs the memory it writes to. Runs in
the nova-compute image; a compute service that ends takes the container down, which is
then started again.
"""

import gc
import os
import sys
from pathlib import Path

HOSTS = Path("/etc/nova/hosts")


def main() -> int:
    """Fork the compute services and wait until one of them ends."""
    import nova.monkey_patch  # before all else of Nova

    assert nova.monkey_patch  # noqa: S101  # imported for its effect
    from nova import objects
    from nova.cmd import compute
    from nova.compute import manager
    from nova.virt import fake

    assert manager, fake  # noqa: S101  # imported for their memory to be shared
    objects.register_all()
    gc.freeze()
    for place in sorted(HOSTS.iterdir()):
        if os.fork() == 0:
            # Replies come by queues named after program and machine: were they those
            # of the machine's own nova-compute, each would take the other's.
            program = f"nova-compute-{place.name}"
            sys.argv = [program, "--config-file", str(place / "nova.conf")]
            compute.main()
            return 0
    return os.waitstatus_to_exitcode(os.wait()[1]) or 1


if __name__ == "__main__":
    sys.exit(main())
