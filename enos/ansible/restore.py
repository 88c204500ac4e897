"""Undoes what the role enos_node wrote on a machine: `python3 - [ROOT]`, as root.

Prints a line for each thing done. What is not there is left alone, so it may be run at
any time and again. Written for the Python of the machines, without other modules.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"^# BEGIN enos\n.*?^# END enos\n", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r"^# enos: (?=127\.)", re.MULTILINE)


def names(hosts: Path) -> "list[str]":
    """Take enos's names out of /etc/hosts; give the machine's own line back."""
    text = hosts.read_text()
    plain = HIDDEN.sub("", BLOCK.sub("", text))
    if plain == text:
        return []
    hosts.write_text(plain)  # in place: in a container the file is a mount
    return ["/etc/hosts"]


def registries(daemon: Path, added: Path) -> "list[str]":
    """Take the registries enos added out of Docker's configuration."""
    if not (daemon.exists() and added.exists()):
        return []
    mine = set(added.read_text().split())
    settings = json.loads(daemon.read_text())
    settings["insecure-registries"] = [
        one for one in settings.get("insecure-registries", ()) if one not in mine
    ]
    if not settings["insecure-registries"]:
        del settings["insecure-registries"]
    if settings:
        draft = daemon.with_name(daemon.name + ".enos")
        draft.write_text(json.dumps(settings, indent=4) + "\n")
        draft.replace(daemon)
    else:
        daemon.unlink()
    added.unlink()
    return ["/etc/docker/daemon.json"]


def main(root: Path) -> None:
    """Restore the machine whose files are below a folder."""
    told = names(root / "etc/hosts")
    changed = registries(
        root / "etc/docker/daemon.json", root / "var/lib/enos/registries"
    )
    if changed and root == Path("/"):
        # dockerd(8): it reads the insecure registries again on SIGHUP.
        subprocess.run(["systemctl", "reload", "docker"], check=False)  # noqa: S607
    sys.stdout.writelines(line + "\n" for line in told + changed)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/"))
