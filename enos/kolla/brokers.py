"""RabbitMQ that an interrupted deployment left without a cluster.

All its nodes found a cluster together. Where that was cut short, containers are there
that wait for each other, which kolla-ansible takes for a RabbitMQ that runs: its
prechecks fail. They begin before or beside everything else, so this comes before them.
"""

from collections.abc import Mapping
from pathlib import Path

from enos.process import Shell
from enos.progress import Progress
from enos.remote import on_each, run_on
from enos.testbed import Testbed

HALF, FOUNDED = "half", "founded"

LOOK = f"""\
engine=$1
command -v "$engine" >/dev/null || exit 0
data=$("$engine" volume inspect --format '{{{{.Mountpoint}}}}' rabbitmq 2>/dev/null)
# The stores of virtual hosts are made after the cluster, those of Khepri before it.
for stores in "$data"/mnesia/*/msg_stores; do
    test -n "$data" && test -e "$stores" && echo {FOUNDED} && exit 0
done
test -n "$("$engine" ps --all --quiet --filter label=kolla_version \\
    --filter 'name=^rabbitmq$')" || exit 0
# Its data may be elsewhere.
test -z "$data" && echo {FOUNDED} && exit 0
timeout 60 "$engine" exec rabbitmq rabbitmq-diagnostics check_running >/dev/null 2>&1 &&
    echo {FOUNDED} && exit 0
echo {HALF}
"""
"""POSIX shell, run as root; takes the container engine. Prints `HALF`, `FOUNDED`, or
nothing where there is no RabbitMQ."""

REMOVE = """\
set -e
engine=$1
unit=kolla-rabbitmq-container.service
"$engine" rm --force rabbitmq >/dev/null
if test -e "/etc/systemd/system/$unit"; then
    systemctl disable --now "$unit"
    rm -f "/etc/systemd/system/$unit"
    systemctl daemon-reload
fi
"$engine" volume rm --force rabbitmq >/dev/null
"""
"""POSIX shell, run as root; takes the container engine."""


def clear(
    testbed: Testbed, engine: str, shell: Shell, progress: Progress, sockets: Path
) -> None:
    """Remove RabbitMQ from all hosts if none of them ever was in a cluster.

    Raises ProcessError when a host is unreachable or something cannot be removed;
    may be repeated.
    """
    argv = ("sh", "-s", "--", engine)
    looked = on_each(
        testbed.hosts,
        lambda host: run_on(
            shell, host, argv, stdin=LOOK, sockets=sockets
        ).stdout.strip(),
    )
    halves = having(HALF, looked)
    if not halves:
        return
    told, founded = ", ".join(halves), having(FOUNDED, looked)
    if founded:
        progress.warn(
            f"RabbitMQ does not run on {told}; it is kept, since that of"
            f" {', '.join(founded)} was in a cluster"
        )
        return
    progress.decision(f"RabbitMQ is made anew, its cluster was never founded: {told}")
    on_each(
        [host for host in testbed.hosts if host.name in halves],
        lambda host: run_on(shell, host, argv, stdin=REMOVE, sockets=sockets),
    )


def having(what: str, looked: Mapping[str, str]) -> tuple[str, ...]:
    """Return the hosts on which `LOOK` found it.

    >>> having("half", {"control-1": "half", "control-2": "", "control-3": "half"})
    ('control-1', 'control-3')
    """
    return tuple(host for host, found in looked.items() if found == what)
