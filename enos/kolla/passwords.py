"""Secrets of a deployment: made once per experiment by kolla-genpwd, then kept.

`passwords.yml` is 0600 from its first byte. A second run of the same experiment keeps
every value and only adds those a newer kolla-ansible asks for.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from enos.errors import StateError
from enos.process import Shell


def ensure_passwords(place: Path, *, tools: Path, shell: Shell) -> dict[str, Any]:
    """Return the passwords in `place`, making the file or what it lacks.

    `tools` is the `bin` folder of kolla-ansible's environment. Raises StateError when
    the file is there but cannot be read, ProcessError when kolla-genpwd fails.
    """
    skeleton = _load(
        tools.parent / "share/kolla-ansible/etc_examples/kolla/passwords.yml"
    )
    kept = _load(place) if place.exists() else {}
    if set(skeleton) <= set(kept):
        return kept
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=".passwords-") as folder:
        draft = Path(folder) / "passwords.yml"
        draft.touch(mode=0o600)
        draft.write_text(yaml.safe_dump(merged(skeleton, kept)), encoding="utf-8")
        shell.run([tools / "kolla-genpwd", "--passwords", draft])
        _put(draft.read_text(encoding="utf-8"), place)
    return _load(place)


def merged(skeleton: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the skeleton's keys with the values that are already known.

    A value of None is one that kolla-genpwd has to make.
    """
    return {**skeleton, **{k: v for k, v in kept.items() if v is not None}}


def write_secret(place: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically."""
    place.parent.mkdir(parents=True, exist_ok=True)
    _put(text, place)


def _put(text: str, place: Path) -> None:
    # mkstemp creates with 0600
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _load(path: Path) -> dict[str, Any]:
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        message = f"the passwords in `{path}` cannot be read"
        hint = "remove the file and deploy anew, or restore it from a backup"
        raise StateError(message, hint=hint, details=str(error)) from None
    return dict(plain or {})
