"""The `ansible.cfg` of an experiment: pure text, so that a run can be repeated by hand.

A user's own configuration is never read: results would depend on it.
"""

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CALLBACKS = HERE / "callback_plugins"
ROLES = HERE / "roles"

SSH = (
    "-o ControlMaster=auto -o ControlPersist=120 -o LogLevel=ERROR"
    " -o UserKnownHostsFile=/dev/null -o PreferredAuthentications=publickey"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What varies from one `ansible.cfg` to the next.

    Attributes:
        facts: folder of cached host facts, one JSON file per host.
        sockets: folder for SSH's control sockets; its path must be short, since a
            socket's path may have 108 bytes (unix(7)).
        mitogen: folder of mitogen's strategy plug-ins, or None for plain Ansible.
        forks: hosts worked on at once.
        roles: folders of roles besides enos's own.

    """

    facts: Path
    sockets: Path
    mitogen: Path | None = None
    forks: int = 16
    roles: tuple[Path, ...] = ()


def render(configuration: Configuration) -> str:
    """Return the text of `ansible.cfg`."""
    strategy = (
        ("strategy = mitogen_linear", f"strategy_plugins = {configuration.mitogen}")
        if configuration.mitogen
        else ("strategy = linear",)
    )
    roles = ":".join(str(path) for path in (*configuration.roles, ROLES))
    lines = (
        "# Written by enos; changes are lost at the next run.",
        "[defaults]",
        f"forks = {configuration.forks}",
        *strategy,
        f"roles_path = {roles}",
        "stdout_callback = enos_events",
        f"callback_plugins = {CALLBACKS}",
        "fact_caching = jsonfile",
        f"fact_caching_connection = {configuration.facts}",
        "fact_caching_timeout = 86400",
        "inject_facts_as_vars = False",
        "host_key_checking = False",
        "retry_files_enabled = False",
        "deprecation_warnings = False",
        "localhost_warning = False",
        "timeout = 30",
        "",
        "[inventory]",
        "enable_plugins = ini",
        "",
        "[ssh_connection]",
        "pipelining = True",
        "retries = 2",
        f"ssh_args = {SSH}",
        f"control_path_dir = {configuration.sockets}",
    )
    return "\n".join(lines) + "\n"
