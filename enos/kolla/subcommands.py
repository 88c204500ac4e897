"""The commands of kolla-ansible and the playbooks they run. Pure.

Its own playbooks would fail under mitogen, which sends along only what a module imports
at its top level: those of the copy (`enos.kolla.shadow`) are run instead. Which command
runs which is told by `kolla_ansible/cli/commands.py` of 2025.1 to 2026.1.
"""

from collections.abc import Collection, Mapping, Sequence

from enos.kolla import site
from enos.kolla.plan import DEPLOYS, Deployment

ELSEWHERE: Mapping[str, str] = {
    "bootstrap-servers": "kolla-host",
    "deploy-bifrost": "bifrost",
    "deploy-servers": "bifrost",
    "upgrade-bifrost": "bifrost",
}
"""Command → its playbook, where that does not have the command's name."""

UNCHANGED = frozenset({"destroy", "prune-images"})
"""Use no module that was changed, but programs beside kolla's own playbooks."""

WITHOUT_OPTIONS = frozenset({"install-deps"})

ACTIONS: Mapping[str, str] = {
    "prechecks": "precheck",
    "genconfig": "config",
    "validate-config": "config_validate",
}
"""Command → kolla's name for what its roles do, where that is another one."""

READS = frozenset(
    {
        *("certificates", "check", "gather-facts", "genconfig", "install-deps"),
        *("mariadb-backup", "octavia-certificates", "post-deploy", "prechecks"),
        *("prune-images", "pull", "validate-config"),
    }
)
"""Commands after which the same services run as before."""


def action(command: str) -> str:
    """Return the action of kolla's roles that a command stands for.

    >>> action("prechecks"), action("upgrade")
    ('precheck', 'upgrade')
    """
    return ACTIONS.get(command, command)


def playbook(command: str, present: Collection[str]) -> str:
    """Return the file name of a command's playbook in the copy.

    `present` are the names of kolla-ansible's playbooks, some with underscores up to
    2025.2. Commands without one of their own run `site.yml`.

    >>> playbook("mariadb-recovery", ("mariadb_recovery.yml", "site.yml"))
    'mariadb_recovery.yml'
    >>> playbook("stop", ("mariadb_recovery.yml", "site.yml"))
    'site.yml'
    """
    if command == "prechecks":
        return site.file_of(site.CHECKS)
    if command in {*DEPLOYS, "pull"}:
        return site.file_of("site")
    name = ELSEWHERE.get(command, command)
    files = (f"{name}.yml", f"{name.replace('-', '_')}.yml")
    return next((file for file in files if file in present), "site.yml")


def argv(deployment: Deployment, words: Sequence[str]) -> tuple[str, ...]:
    """Return the argv of a command, whose options come after it.

    What the user gives of `--playbook` and `--limit` is left as it is.
    """
    place, installed = deployment.place, deployment.installed
    command, given = words[0], tuple(words[1:])
    program = str(installed.bin / "kolla-ansible")
    if command in WITHOUT_OPTIONS:
        return (program, command, *given)
    own: list[str] = []
    if command not in UNCHANGED and not _has(given, "-p", "--playbook"):
        file = place.shadow / playbook(command, installed.playbooks)
        own += ["--playbook", str(file)]
    if command == "destroy" and not limited(words):
        # kolla counts localhost among the hosts, where nothing of it is.
        own += ["--limit", "!localhost"]
    return (
        *(program, command, "--configdir", str(place.root)),
        *("--inventory", str(place.inventory), "--passwords", str(place.passwords)),
        *own,
        *given,
    )


def limited(words: Sequence[str]) -> bool:
    """Tell whether a command is for some machines only.

    >>> limited(("destroy", "--limit", "compute-1")), limited(("destroy",))
    (True, False)
    """
    return _has(words[1:], "-l", "--limit")


def _has(given: Sequence[str], short: str, long: str) -> bool:
    return any(
        word.partition("=")[0] == long
        or (word.startswith(short) and not word.startswith("--"))
        for word in given
    )
