"""The guest's root file system as an initramfs: kernel modules and a cpio archive.

Pure: bytes in, bytes out. The kernel unpacks the archive into memory at boot
(initramfs buffer format, Linux Documentation/driver-api/early-userspace), so that a
guest runs without touching its disk.
"""

import lzma
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, folder or symbolic link of the archive.

    Attributes:
        path: without a leading slash.
        mode: type and permission bits, as in stat(2).
        data: content of a file, target of a link, empty for a folder.

    """

    path: str
    mode: int
    data: bytes = b""


def file(path: str, data: bytes, *, executable: bool = False) -> Entry:
    """Return a file of root's, 0755 when executable and 0644 when not."""
    return Entry(
        path=path, mode=stat.S_IFREG | (0o755 if executable else 0o644), data=data
    )


def link(path: str, target: str) -> Entry:
    """Return a symbolic link."""
    return Entry(path=path, mode=stat.S_IFLNK | 0o777, data=target.encode())


def folder(path: str, *, private: bool = False) -> Entry:
    """Return a folder, 0700 when private."""
    return Entry(path=path, mode=stat.S_IFDIR | (0o700 if private else 0o755))


def archive(entries: Iterable[Entry]) -> bytes:
    """Return a cpio archive ("newc") of the entries, missing parent folders added.

    The same entries give the same bytes: no times, no owners but root.
    """
    complete = _with_parents({entry.path: entry for entry in entries})
    trailer = Entry(path="TRAILER!!!", mode=0)
    records = [
        _record(number, entry) for number, entry in enumerate((*complete, trailer), 1)
    ]
    return b"".join(records)


def module_name(path: str) -> str:
    """Return the name by which the kernel knows a module's file.

    >>> module_name("kernel/drivers/char/hw_random/virtio-rng.ko.xz")
    'virtio_rng'
    """
    return PurePosixPath(path).name.partition(".ko")[0].replace("-", "_")


def dependencies(module: bytes) -> tuple[str, ...]:
    """Return the names of the modules one needs, from its `.modinfo` section."""
    found = _DEPENDS.search(module)
    names = found[1].decode("ascii").split(",") if found else []
    return tuple(name.replace("-", "_") for name in names if name)


def modules(available: Mapping[str, bytes], wanted: Iterable[str]) -> dict[str, bytes]:
    """Return the wanted modules and all they need, unpacked, by path.

    Args:
        available: path below `/lib/modules/<release>` → file as shipped, `.ko.xz` or
            `.ko`.
        wanted: names; one that is not available is taken to be built in.

    """
    paths = {module_name(path): path for path in available}
    chosen: dict[str, bytes] = {}
    ahead = list(wanted)
    while ahead:
        path = paths.get(ahead.pop())
        if path is None or path.removesuffix(".xz") in chosen:
            continue
        packed = available[path]
        data = lzma.decompress(packed) if path.endswith(".xz") else packed
        chosen[path.removesuffix(".xz")] = data
        ahead += dependencies(data)
    return dict(sorted(chosen.items()))


def modules_dep(chosen: Mapping[str, bytes]) -> str:
    """Return `modules.dep` as depmod(8) writes it: for each module all it needs."""
    paths = {module_name(path): path for path in chosen}
    lines = []
    for path in chosen:
        needed: list[str] = []
        ahead = list(dependencies(chosen[path]))
        while ahead:
            other = paths.get(ahead.pop(0), "")
            if other and other not in needed:
                needed.append(other)
                ahead += dependencies(chosen[other])
        lines.append(f"{path}: {' '.join(needed)}".rstrip())
    return "\n".join(lines) + "\n"


def _with_parents(entries: Mapping[str, Entry]) -> tuple[Entry, ...]:
    parents = {
        str(parent)
        for path in entries
        for parent in PurePosixPath(path).parents
        if str(parent) != "."
    }
    missing = {path: folder(path) for path in parents if path not in entries}
    complete = {**missing, **entries}
    return tuple(complete[path] for path in sorted(complete))


def _record(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
