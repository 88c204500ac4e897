"""What groups of processes hold and move, where the kernel does not add it up itself.

A control group without its memory or io controller (a machine that is a container on
a host with cgroup v1) still lists its processes; these are then added up.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Processes:
    """The processes of this machine, by proc(5).

    Attributes:
        proc: where proc is mounted.

    """

    proc: Path = Path("/proc")
    _moved: dict[str, tuple[int, int]] = field(default_factory=dict)
    _of: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)

    def every(self) -> list[int]:
        """Return all processes."""
        return [int(one.name) for one in self.proc.iterdir() if one.name.isdigit()]

    def memory(self, pids: Iterable[int]) -> int:
        """Return the bytes only these processes hold: anonymous resident memory."""
        return sum(self._anonymous(pid) for pid in pids)

    def moved(self, group: str, pids: Iterable[int]) -> tuple[int, int]:
        """Return the bytes a group has read from and written to disks so far.

        It never goes back: what processes that have ended moved stays counted.
        """
        before = self._of.get(group, {})
        now = {pid: seen for pid in pids if (seen := self._io(pid)) is not None}
        read, written = self._moved.get(group, (0, 0))
        for pid, (more_read, more_written) in now.items():
            had_read, had_written = before.get(pid, (0, 0))
            read += max(0, more_read - had_read)
            written += max(0, more_written - had_written)
        self._of[group], self._moved[group] = now, (read, written)
        return read, written

    def keep(self, groups: Iterable[str]) -> None:
        """Forget all groups but these."""
        for gone in self._of.keys() - set(groups):
            del self._of[gone], self._moved[gone]

    def network(self, pid: int) -> dict[str, tuple[int, int]]:
        """Return interface → bytes received and sent, as a process sees them."""
        text = _read(self.proc / str(pid) / "net/dev")
        found = {}
        for line in text.splitlines()[2:]:
            name, _, values = line.partition(":")
            words = values.split()
            found[name.strip()] = (int(words[0]), int(words[8]))
        return found

    def namespace(self, pid: int | str = "self") -> str:
        """Return what tells network namespaces apart; empty for an ended process."""
        try:
            return str((self.proc / str(pid) / "ns/net").readlink())
        except OSError:
            return ""

    def _anonymous(self, pid: int) -> int:
        words = _read(self.proc / str(pid) / "statm").split()
        return (int(words[1]) - int(words[2])) * PAGE if words else 0

    def _io(self, pid: int) -> tuple[int, int] | None:
        text = _read(self.proc / str(pid) / "io")
        facts = dict(line.split(": ") for line in text.splitlines())
        if "read_bytes" not in facts:
            return None
        return int(facts["read_bytes"]), int(facts["write_bytes"])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # it has ended meanwhile
