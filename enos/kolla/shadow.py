"""A copy of kolla-ansible's `ansible/` folder, mostly links, that enos may change.

kolla-ansible itself is never touched. What is changed, and why, is told as decisions:

- `kolla_systemd_worker`: waits for a unit in steps of 0.2 s instead of 5 s. A unit is
  up some milliseconds after it is started, so theirs sleeps 5 s for every container.
- `kolla_toolbox`: runs a module in the container directly, not through a new Ansible.
- role `module-load`: does nothing, only where the kernel has no loadable modules.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

OVERLAY = Path(__file__).parent / "overlay"
WORKER = "kolla_systemd_worker.py"
PAUSE, SHORT_PAUSE = "        delay = 5\n", "        delay = 0.2\n"
COPIED = ("action_plugins", "filter_plugins", "library", "module_utils")
"""Folders of plug-ins, which Ansible looks for beside the real path of a playbook."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """What the copy differs in.

    Attributes:
        playbooks: file name → text, added to kolla-ansible's own.
        without_modules: replace the role that loads kernel modules.

    """

    playbooks: Mapping[str, str]
    without_modules: bool = False


def quicker(worker: str) -> str:
    """Return kolla's systemd worker with a short pause.

    Unchanged when it does not hold the line that is to be changed.
    """
    return worker.replace(PAUSE, SHORT_PAUSE)


def build(shadow: Shadow, original: Path, place: Path) -> None:
    """Make the copy of `original` in `place`, whatever was there before."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for entry in original.iterdir():
        if entry.name in COPIED:
            shutil.copytree(entry, place / entry.name)
        elif entry.suffix == ".yml":
            shutil.copy2(entry, place / entry.name)
        elif entry.name != "roles":
            (place / entry.name).symlink_to(entry)
    _roles(shadow, original / "roles", place / "roles")
    worker = place / "module_utils" / WORKER
    worker.write_text(quicker(worker.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copy2(OVERLAY / "library" / "kolla_toolbox.py", place / "library")
    for name, text in shadow.playbooks.items():
        (place / name).write_text(text, encoding="utf-8")


def _roles(shadow: Shadow, original: Path, place: Path) -> None:
    place.mkdir()
    replaced = {"module-load"} if shadow.without_modules else set()
    for role in original.iterdir():
        source = OVERLAY / "roles" / role.name if role.name in replaced else role
        (place / role.name).symlink_to(source)
