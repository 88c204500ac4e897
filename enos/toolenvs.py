"""Tools with clashing dependencies, each in a Python environment of its own.

An environment is keyed by the hash of its pinned requirements and lives in the user
cache: `<cache>/tools/<name>-<hash>/bin/<program>`. It is made by uv; a file
`.complete` tells a finished one from one whose making was interrupted.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from enos.process import Shell
from enos.progress import Progress
from enos.state.locks import locked

LOCKS = Path(__file__).parent / "locks"
"""Shipped lock files: `<tool>.txt`, each the output of `uv pip compile`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolEnvironments:
    """Makes and finds the environments under a cache folder."""

    cache: Path
    shell: Shell
    progress: Progress

    def ensure(self, tool: str) -> Path:
        """Return the `bin` folder of a tool's environment, making it when missing.

        `tool` names a lock file: ``kolla-ansible-2026.1``. Raises ProcessError when
        the packages cannot be had.
        """
        lock = LOCKS / f"{tool}.txt"
        place = self.cache / "tools" / f"{tool}-{_key(lock)}"
        if (place / ".complete").exists():
            return place / "bin"
        with locked(place.with_name(f"{place.name}.lock")):
            if not (place / ".complete").exists():
                with self.progress.step(f"Python environment for {tool}"):
                    self._make(place, lock)
        return place / "bin"

    def _make(self, place: Path, lock: Path) -> None:
        rmtree(place, ignore_errors=True)
        uv = find_uv()
        self.shell.run([uv, "venv", "--quiet", "--python", sys.executable, place])
        python = place / "bin" / "python"
        install = (uv, "pip", "install", "--quiet", "--compile-bytecode")
        self.shell.run([*install, "--python", python, "-r", lock])
        (place / ".complete").touch()


def find_uv() -> str:
    """Return the path of the uv that enos was installed with."""
    from uv import find_uv_bin

    return find_uv_bin()


def _key(lock: Path) -> str:
    text = f"{sys.version_info[:3]}\n{lock.read_text(encoding='utf-8')}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
