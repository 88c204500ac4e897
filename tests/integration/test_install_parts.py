"""What `make test` installs, with stand-ins for the programs of Debian."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration
SCRIPT = Path(__file__).parents[2] / "scripts" / "install-parts"


class Debian:
    """A machine of stand-ins; `installed` are its packages, `known` those of apt."""

    def __init__(self, folder: Path, *, name: str, known: str = "") -> None:
        self.bin, self.release = folder / "bin", folder / "os-release"
        self.asked = folder / "asked"
        self.bin.mkdir()
        self.release.write_text(f"NAME=x\nID={name}\nID_LIKE=debian\n")
        for there in ("sh", "grep"):
            (self.bin / there).symlink_to(f"/bin/{there}")
        self.program("id", "echo 0")
        self.program("dpkg-query", 'test "$4" = fping && echo "install ok installed"')
        self.program("apt-get", f'echo "$*" >>{self.asked}')
        self.program(
            "apt-cache", f'case " {known} " in *" $2 "*) ;; *) exit 100;; esac'
        )

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def install(self, *packages: str) -> tuple[list[str], str]:
        """Return the packages apt-get was asked for, and what was printed."""
        done = subprocess.run(
            ["/bin/sh", str(SCRIPT), *packages],
            env={
                "PATH": str(self.bin),
                "SBIN": str(self.bin),
                "OS_RELEASE": str(self.release),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        wanted = [line.partition(" install ")[2] for line in lines if "install" in line]
        assert all("--no-remove" in line for line in lines if " install " in line)
        return wanted[0].split() if wanted else [], done.stdout


def test_only_what_is_missing_is_installed(tmp_path: Path) -> None:
    machine = Debian(tmp_path, name="debian")
    assert machine.install("fping", "ipset", "chromium") == (["ipset", "chromium"], "")


def test_nothing_is_asked_of_apt_when_nothing_is_missing(tmp_path: Path) -> None:
    machine = Debian(tmp_path, name="debian")
    assert machine.install("fping") == ([], "")
    assert not machine.asked.exists()


def test_a_docker_from_elsewhere_is_kept(tmp_path: Path) -> None:
    machine = Debian(tmp_path, name="debian", known="docker-cli")
    machine.program("dockerd", "exit 0")
    assert machine.install("docker.io", "ipset") == (["ipset"], "")


def test_a_client_of_docker_alone_is_no_docker(tmp_path: Path) -> None:
    machine = Debian(tmp_path, name="debian")
    machine.program("docker", "exit 0")
    assert machine.install("docker.io") == (["docker.io"], "")


@pytest.mark.parametrize(
    ("known", "wanted"),
    [("docker-cli", ["docker.io", "docker-cli"]), ("", ["docker.io"])],
)
def test_docker_comes_with_its_client_where_that_is_a_package(
    tmp_path: Path, known: str, wanted: list[str]
) -> None:
    machine = Debian(tmp_path, name="debian", known=known)
    assert machine.install("docker.io") == (wanted, "")


def test_ubuntus_snap_of_chromium_is_left_out_and_told(tmp_path: Path) -> None:
    wanted, said = Debian(tmp_path, name="ubuntu").install("chromium", "ipset")
    assert wanted == ["ipset"]
    assert said.startswith("chromium is left out: Ubuntu has it as a snap alone")
