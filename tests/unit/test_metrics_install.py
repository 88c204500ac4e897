"""The program that installs, on folders of our own; apt and systemd are not asked."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from enos.metrics.hosts import install


@pytest.fixture
def arrived(tmp_path: Path) -> Path:
    (tmp_path / "program").write_text("collectd")
    file = tmp_path / "bundle.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        tar.add(tmp_path / "program", arcname="usr/sbin/collectd")
    return file


def bundle(file: Path) -> dict[str, str]:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return {"path": str(file), "sha256": digest}


@pytest.mark.usefixtures("processes")
def test_a_bundle_is_unpacked_once_and_goes(tmp_path: Path, arrived: Path) -> None:
    place, told = tmp_path / "place", bundle(arrived)
    place.mkdir()

    install.unpack(place, ["collectd-core"], told)
    install.unpack(place, ["collectd-core"], told)

    assert (place / "root/usr/sbin/collectd").read_text() == "collectd"
    assert [one.name for one in place.iterdir()] == ["root"]
    assert not arrived.exists()


def test_a_bundle_somebody_else_put_there_is_not_taken(
    tmp_path: Path, arrived: Path
) -> None:
    told = bundle(arrived)
    arrived.write_bytes(b"something else")
    (tmp_path / "place").mkdir()

    with pytest.raises(SystemExit) as asked:
        install.unpack(tmp_path / "place", ["collectd-core"], told)
    assert asked.value.code == install.NEEDED


def test_files_are_private_from_their_first_byte_and_rewritten_only_if_changed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "deep/agent.json"
    install.write(file, "secret", 0o600)
    before = file.stat()
    install.write(file, "secret", 0o600)

    assert before.st_mode & 0o777 == 0o600
    assert file.stat().st_ino == before.st_ino
    install.write(file, "other", 0o644)
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("other", 0o644)


def test_the_python_of_collectd_is_read_from_its_plugin(tmp_path: Path) -> None:
    plugin = tmp_path / "usr/lib/collectd/python.so"
    plugin.parent.mkdir(parents=True)
    plugin.write_bytes(b"\x7fELF\0libc.so.6\0libpython3.13.so.1.0\0")

    assert install.libpython(tmp_path) == "libpython3.13"
    assert install.libpython(tmp_path / "elsewhere") == ""


def test_removal_of_nothing_is_harmless(tmp_path: Path) -> None:
    install.remove(tmp_path / "place", ["enos-no-such.service"])

    assert not (tmp_path / "place").exists()
