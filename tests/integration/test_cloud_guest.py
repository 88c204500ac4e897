"""The guest image, built from Debian's packages and booted in QEMU without KVM."""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from enos.cloud.guest import COMMAND_LINE, GuestImage, guest_image
from enos.process import LocalShell
from enos.remote import run_on
from enos.testbed import Host
from enos.testing import RecordingProgress

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(400),
]
SHELL = LocalShell(session="enos-guest-test")


@dataclass(slots=True, kw_only=True)
class Guest:
    """A guest that is up.

    Attributes:
        monitor: QEMU's, a unix socket.

    """

    process: "subprocess.Popen[bytes]"
    log: Path
    host: Host
    monitor: Path
    began: float = field(default_factory=time.monotonic)

    def console(self) -> str:
        return self.log.read_bytes().decode(errors="replace")

    def until(self, text: str, seconds: float = 120) -> str:
        """Return the console once it holds a text."""

        def shown() -> bool:
            assert self.process.poll() is None or text in self.console(), self.console()
            return text in self.console()

        self.wait(shown, seconds)
        return self.console()

    def wait(self, there: Callable[[], bool], seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not there():
            assert time.monotonic() < deadline, self.console()[-3000:]
            time.sleep(0.2)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> GuestImage:
    cache = tmp_path_factory.mktemp("cache")
    progress = RecordingProgress()
    made = guest_image(cache, SHELL, progress)
    assert [step.title for step in progress.steps] == ["guest image"]
    again = RecordingProgress()
    assert guest_image(cache, SHELL, again) == made
    assert again.steps == [], "the second time it comes from the cache"
    return made


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
    subprocess.run(argv, check=True)
    return path


@contextmanager
def booted(image: GuestImage, folder: Path, key: Path, *more: str) -> Iterator[Guest]:
    program = shutil.which("qemu-system-x86_64")
    assert program, "QEMU is missing: `make test` installs qemu-system-x86"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    log, monitor = folder / "console.log", folder / "monitor"
    argv = (
        *(program, "-accel", "tcg", "-machine", "pc", "-cpu", "qemu64", "-m", "128"),
        *("-display", "none", "-no-reboot", "-serial", f"file:{log}"),
        *("-monitor", f"unix:{monitor},server,nowait"),
        *("-kernel", str(image.kernel), "-initrd", str(image.ramdisk)),
        *("-append", COMMAND_LINE, "-device", "virtio-rng-pci"),
        *("-drive", f"file={image.disk},format=raw,if=virtio,snapshot=on"),
        *("-nic", f"user,model=virtio,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *more,
    )
    with subprocess.Popen(argv) as process:
        host = Host(name="guest", address="127.0.0.1", port=port, key=key)
        try:
            guest = Guest(process=process, log=log, host=host, monitor=monitor)
            guest.wait(log.exists)
            yield guest
        finally:
            process.kill()


def config_drive(folder: Path, key: Path) -> str:
    """Return QEMU's words for a FAT disk labelled config-2, as Nova makes them."""
    latest = folder / "drive" / "openstack" / "latest"
    latest.mkdir(parents=True)
    metadata = {
        "hostname": "first.novalocal",
        "public_keys": {"mine": key.with_suffix(".pub").read_text()},
    }
    (latest / "meta_data.json").write_text(json.dumps(metadata))
    (latest / "user_data").write_text("#!/bin/sh\necho said by user data\n")
    return (
        f"file.driver=vvfat,file.dir={folder / 'drive'},file.label=config-2,"
        "if=virtio,read-only=on"
    )


def test_a_guest_comes_up_takes_its_key_and_obeys_the_power_button(
    image: GuestImage, tmp_path: Path, key: Path
) -> None:
    drive = config_drive(tmp_path, key)
    with booted(image, tmp_path, key, "-drive", drive) as guest:
        console = guest.until("enos-guest: ready")
        assert "enos-guest: eth0 10.0.2.15/24" in console
        guest.until("1 SSH key(s) from the config drive")
        guest.until("said by user data")
        guest.until("user data ended with status 0")

        guest.wait(lambda: run_on(SHELL, guest.host, ("true",), check=False).ok)
        done = run_on(SHELL, guest.host, ("hostname",))
        routes = run_on(SHELL, guest.host, ("ip", "route")).stdout
        names = run_on(SHELL, guest.host, ("cat", "/etc/resolv.conf")).stdout

        assert done.stdout == "first\n"
        assert "default via 10.0.2.2" in routes
        assert "nameserver 10.0.2.3" in names

        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(guest.monitor))
            monitor.recv(1024)
            monitor.sendall(b"system_powerdown\n")
            guest.process.wait(60)

        assert guest.process.returncode == 0
        assert "enos-guest: power button" in guest.console()


def test_static_routes_of_the_lease_replace_its_router(
    image: GuestImage, tmp_path: Path, key: Path
) -> None:
    drive = config_drive(tmp_path, key)
    script = "/usr/share/udhcpc/default.script"
    lease = (
        "interface=eth0 ip=10.0.2.15 mask=24 router=10.0.2.9 mtu=1400 "
        "staticroutes='169.254.169.254/32 10.0.2.3 0.0.0.0/0 10.0.2.2'"
    )
    with booted(image, tmp_path, key, "-drive", drive) as guest:
        guest.until("1 SSH key(s) from the config drive")
        guest.wait(lambda: run_on(SHELL, guest.host, ("true",), check=False).ok)

        command = ("sh", "-c", f"{lease} {script} renew; ip route; ip link show eth0")
        shown = run_on(SHELL, guest.host, command).stdout

        assert "default via 10.0.2.2 dev eth0" in shown
        assert "169.254.169.254 via 10.0.2.3 dev eth0" in shown
        assert "10.0.2.9" not in shown
        assert "mtu 1400" in shown
