"""The hosts a word means, and the logs of an OpenStack service on them."""

from collections.abc import Sequence

from enos.errors import ConfigError, ProcessError, StateError, meant
from enos.phases.session import Session
from enos.process import Completed
from enos.remote import on_each, run_on
from enos.testbed import Host, Testbed

FOLDERS = "/var/log/kolla /var/lib/docker/volumes/kolla_logs/_data"
NONE_HERE = 44  # the script's own status: this host has no such logs
SCRIPT = f"""
service=$1 lines=$2 follow=$3
for folder in {FOLDERS}; do
  for found in "$folder/$service" "$folder"/*/"$service".log; do
    [ -d "$found" ] && set -- "$found"/*.log || set -- "$found"
    [ -f "$1" ] && exec tail $follow -n "$lines" "$@"
  done
done
container=$(printf %s "$service" | tr - _)
for engine in docker podman; do
  "$engine" container inspect "$container" >/dev/null 2>&1 || continue
  exec "$engine" logs ${{follow:+--follow}} --tail "$lines" "$container" 2>&1
done
for folder in {FOLDERS}; do
  [ -d "$folder" ] && ls "$folder" && break
done
exit {NONE_HERE}
"""
"""Kolla's services log to a volume, a folder each; some only to their container."""


def hosts_of(testbed: Testbed, word: str) -> tuple[Host, ...]:
    """Return the hosts of that name, role or group; raises ConfigError for none.

    >>> hosts_of(Testbed(provider="p", hosts=(), networks=()), "x")
    Traceback (most recent call last):
    ...
    enos.errors.ConfigError: no host, role or group is called `x`
    """
    named = testbed.host(word)
    found = (named,) if named else testbed.with_role(word) or testbed.in_group(word)
    if not found:
        known = {
            name
            for host in testbed.hosts
            for name in (host.name, *host.roles, *host.groups)
        }
        raise ConfigError(
            f"no host, role or group is called `{word}`", hint=meant(word, known)
        )
    return found


def command(service: str, *, lines: int, follow: bool = False) -> tuple[str, ...]:
    """Return the argv that prints the last lines of a service's logs on a host."""
    return ("sh", "-c", SCRIPT, "logs", service, str(lines), "-F" if follow else "")


def read(
    session: Session, hosts: Sequence[Host], service: str, *, lines: int
) -> dict[str, str]:
    """Return host name → last lines, for the hosts that have logs of a service.

    Raises StateError when no host has any, ProcessError when one does not answer.
    """
    sockets = session.directory.sockets
    argv = command(service, lines=lines)
    results = on_each(
        hosts,
        lambda host: run_on(session.shell, host, argv, check=False, sockets=sockets),
    )
    for name, done in results.items():
        if done.returncode not in {0, NONE_HERE}:
            raise _unreadable(service, name, done)
    found = {name: done.stdout for name, done in results.items() if done.ok}
    if not found:
        known = {word for done in results.values() for word in done.stdout.split()}
        raise StateError(
            f"no host has logs of `{service}`",
            hint=meant(service, known) or "run `enos os` first",
        )
    return found


def _unreadable(service: str, host: str, done: Completed) -> ProcessError:
    return ProcessError(
        f"the logs of `{service}` cannot be read on {host}",
        argv=done.argv,
        returncode=done.returncode,
        hint="run `enos status` to see which hosts answer",
        details=done.stderr.strip(),
    )
