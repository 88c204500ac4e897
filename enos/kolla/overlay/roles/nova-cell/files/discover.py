"""Wait until compute hosts have registered, and map them to their cell.

Runs in nova_conductor with the hosts' names as arguments; prints ``mapped`` and the
names of those that were mapped now. Fails with the names that are missing after
`PATIENCE`.
"""

import sys
import time

PATIENCE = 240.0  # seconds
PAUSE = 1.0


def main(expected: set[str]) -> int:
    """Look and map until every expected host has its mapping."""
    from nova import config, context, objects
    from nova.objects import host_mapping

    config.parse_args(["nova-manage"])
    objects.register_all()
    admin = context.get_admin_context()
    deadline = time.monotonic() + PATIENCE
    while True:
        found = host_mapping.discover_hosts(admin, by_service=True)
        for mapping in found:
            print("mapped", mapping.host)  # noqa: T201  # the result
        known = objects.HostMappingList.get_by_cell_id(admin, None)
        missing = expected - {mapping.host for mapping in known}
        if not missing:
            return 0
        if time.monotonic() > deadline:
            print("not registered:", *sorted(missing), file=sys.stderr)  # noqa: T201  # the reason
            return 1
        time.sleep(PAUSE)


if __name__ == "__main__":
    sys.exit(main(set(sys.argv[1:])))
