import lzma
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enos.cloud import ramdisk
from enos.cloud.guest import _scripts


def module(*needs: str) -> bytes:
    return b"\x7fELF..license=GPL\0depends=" + ",".join(needs).encode() + b"\0name=x\0"


AVAILABLE = {
    "kernel/drivers/net/virtio_net.ko.xz": lzma.compress(module("net_failover")),
    "kernel/drivers/net/net_failover.ko.xz": lzma.compress(module("failover")),
    "kernel/net/core/failover.ko": module(),
    "kernel/drivers/char/hw_random/virtio-rng.ko.xz": lzma.compress(module()),
    "kernel/fs/xfs.ko.xz": lzma.compress(module()),
}


def test_a_module_brings_all_it_needs_unpacked() -> None:
    chosen = ramdisk.modules(AVAILABLE, ["virtio_net", "virtio_rng"])

    assert list(chosen) == [
        "kernel/drivers/char/hw_random/virtio-rng.ko",
        "kernel/drivers/net/net_failover.ko",
        "kernel/drivers/net/virtio_net.ko",
        "kernel/net/core/failover.ko",
    ]
    assert chosen["kernel/drivers/net/virtio_net.ko"] == module("net_failover")


def test_a_module_that_is_built_in_is_passed_over() -> None:
    assert ramdisk.modules(AVAILABLE, ["virtio_pci"]) == {}


def test_modules_dep_names_indirect_dependencies_too() -> None:
    chosen = ramdisk.modules(AVAILABLE, ["virtio_net"])

    assert ramdisk.modules_dep(chosen) == (
        "kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko\n"
        "kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko "
        "kernel/net/core/failover.ko\n"
        "kernel/net/core/failover.ko:\n"
    )


def test_the_same_entries_give_the_same_archive_in_any_order() -> None:
    entries = [ramdisk.file("etc/motd", b"hi"), ramdisk.link("init", "bin/busybox")]

    assert ramdisk.archive(entries) == ramdisk.archive(reversed(entries))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,9}", fullmatch=True), st.binary()))
def test_every_record_of_an_archive_is_aligned(files: dict[str, bytes]) -> None:
    made = ramdisk.archive(ramdisk.file(name, data) for name, data in files.items())

    assert len(made) % 4 == 0
    assert read(made) == files


def test_scripts_of_the_guest_are_executable_and_data_is_not() -> None:
    modes = {entry.path: entry.mode & 0o777 for entry in _scripts()}

    assert modes["etc/init.d/rcS"] == 0o755
    assert modes["usr/share/udhcpc/default.script"] == 0o755
    assert modes["etc/inittab"] == 0o644


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("entry", _scripts(), ids=lambda entry: entry.path)
def test_scripts_of_the_guest_are_valid_shell(entry: ramdisk.Entry) -> None:
    if not entry.data.startswith(b"#!"):
        assert not entry.mode & 0o111
        return
    shell = shutil.which("sh")
    assert shell

    done = subprocess.run(
        [shell, "-n"], input=entry.data, capture_output=True, check=False
    )

    assert done.stderr == b""
    assert done.returncode == 0


def read(archive: bytes) -> dict[str, bytes]:
    """Return the files of a cpio archive, by a reader written from the format."""
    files, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, length = fields[6], fields[11]
        name = archive[at + 110 : at + 109 + length].decode()
        start = (at + 110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return files
        files[name] = archive[start : start + size]
        at = (start + size + 3) // 4 * 4


def test_missing_parent_folders_are_added() -> None:
    made = ramdisk.archive([ramdisk.file("usr/share/a", b"x")])

    assert list(read(made)) == ["usr", "usr/share", "usr/share/a"]


def test_a_link_holds_its_target() -> None:
    made = ramdisk.archive([ramdisk.link("init", "bin/busybox")])

    assert read(made) == {"init": b"bin/busybox"}
