"""Looking at an experiment directory and at this machine before planning an archive."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

from enos.archive.plan import FOLDERS, TREES, BackupPlan, Tree, backup_plan
from enos.archive.redaction import Secrets, leaves, prepare
from enos.errors import ArchiveError, EnosError
from enos.process import Shell
from enos.testbed import Testbed

PACKAGES = ("enos", "ansible-core", "ansible-runner", "openstacksdk", "zstandard")
PASSWORDS = Path("kolla") / "passwords.yml"


def plan_backup(
    testbed: Testbed | None,
    directory: Path,
    *,
    secrets: Iterable[str] = (),
    generated: Mapping[str, str] | None = None,
    versions: Mapping[str, str] | None = None,
    trees: Sequence[Tree] = TREES,
) -> BackupPlan:
    """Return what is to be archived of an experiment.

    Args:
        testbed: its hosts, None when there are none (any more).
        directory: the experiment directory; its `kolla/passwords.yml` names the
            secrets.
        secrets: more of them (tokens, registry passwords).
        generated: member path → text that is in no file: ``resolved.json``,
            ``tc-plan.json``.
        versions: what `own_versions` does not know, such as kolla-ansible's.
        trees: folders to fetch from each host.

    Raises:
        ArchiveError: the password list is there and cannot be read.

    """
    return backup_plan(
        testbed,
        files_of(directory),
        directory=directory,
        secrets=(*passwords_of(directory / PASSWORDS), *secrets),
        generated=generated,
        versions=versions,
        trees=trees,
    )


def files_of(directory: Path) -> tuple[str, ...]:
    """Return the regular files worth looking at, links not followed, relative, sorted.

    The provider's folder is not entered: it may hold the machines' own disks.
    """
    found = list(directory.iterdir())
    for top in FOLDERS:
        for folder, _, names in os.walk(directory / top):
            found += [Path(folder) / name for name in names]
    regular = (path for path in found if path.is_file() and not path.is_symlink())
    return tuple(sorted(path.relative_to(directory).as_posix() for path in regular))


def passwords_of(path: Path) -> tuple[str, ...]:
    """Return the values of a password list, none when there is no list.

    Raises ArchiveError when it cannot be read: without it nothing could be redacted.
    """
    if not path.exists():
        return ()
    try:
        return leaves(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as bad:
        raise ArchiveError(
            f"`{path}` cannot be read, so its passwords cannot be redacted",
            hint="repair the file, or remove it if nothing was deployed with it",
            details=type(bad).__name__,  # the rest would quote the file
        ) from None


def known_secrets(directory: Path, more: Iterable[str] = ()) -> Secrets:
    """Return the secrets of an experiment directory; raises as `passwords_of`."""
    return prepare((*passwords_of(directory / PASSWORDS), *more))


def own_versions(shell: Shell, source: Path) -> dict[str, str]:
    """Return the versions of enos and what it runs on, and of the experiment's file.

    Args:
        shell: asks git.
        source: the experiment file the user edits; its git commit is told if it has
            one, with ``-dirty`` when the working tree differs.

    """
    found = {"python": platform.python_version(), "kernel": platform.release()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed as a package"
    git = ["git", "-C", str(source.parent), "describe", "--always", "--dirty", "--tags"]
    try:
        done = shell.run(git, check=False, timeout=30)
    except EnosError:
        return found  # without git there is no commit to tell
    if done.ok:
        found["experiment"] = done.stdout.strip()
    return found
