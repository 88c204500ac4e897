"""The program that installs, on folders of our own; apt and systemd are not asked."""

import ast
import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from enos.metrics import database
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


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What a machine with Docker was asked to run."""
    told: list[tuple[str, ...]] = []

    def attempt(*argv: str) -> "subprocess.CompletedProcess[str]":
        told.append(argv)
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr(install, "attempt", attempt)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return told


@pytest.mark.usefixtures("asked")
def test_removal_of_nothing_is_harmless(tmp_path: Path) -> None:
    install.remove(tmp_path / "place", ["enos-no-such.service"])

    assert not (tmp_path / "place").exists()


def test_grafana_goes_even_when_its_folder_is_gone(
    tmp_path: Path, asked: list[tuple[str, ...]]
) -> None:
    install.remove(tmp_path / "place", [])

    assert asked == [("docker", "rm", "--force", "enos_grafana")]


@pytest.mark.usefixtures("asked")
def test_measures_that_cannot_be_removed_are_not_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(1, "Operation not permitted", str(path))

    monkeypatch.setattr(os, "rmdir", refuse)
    (tmp_path / "place").mkdir()

    with pytest.raises(PermissionError):
        install.remove(tmp_path / "place", [])


@pytest.mark.usefixtures("processes")
def test_what_was_unpacked_belongs_to_who_unpacks(tmp_path: Path) -> None:
    def foreign(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 54321
        return info

    (tmp_path / "program").write_text("collectd")
    file, place = tmp_path / "bundle.tar.gz", tmp_path / "place"
    with tarfile.open(file, "w:gz") as tar:
        tar.add(tmp_path / "program", arcname="program", filter=foreign)
    place.mkdir()

    install.unpack(place, ["collectd-core"], bundle(file))

    assert (place / "root/program").stat().st_uid == os.geteuid()


@pytest.mark.parametrize("name", ["ask", "install", "save"])
def test_programs_of_the_machines_evaluate_nothing_python_3_9_lacks(name: str) -> None:
    """Annotations are evaluated as a function is defined; `X | None` is 3.10's."""
    tree = ast.parse(database.program(name), feature_version=(3, 9))
    arguments = [node for node in ast.walk(tree) if isinstance(node, ast.arg)]
    returns = [n.returns for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    annotations = [*(one.annotation for one in arguments), *returns]

    assert annotations
    for one in filter(None, annotations):
        unions = [node for node in ast.walk(one) if isinstance(node, ast.BitOr)]
        assert not unions, f"line {one.lineno}: {ast.unparse(one)}"
