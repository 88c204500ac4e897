"""What is in the tree is in the wheel, built from the tree or from the sdist."""

import os
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path, PurePosixPath

import pytest

from enos.cli import COMMANDS
from enos.toolenvs import find_uv

pytestmark = [pytest.mark.integration]

ROOT = Path(__file__).parents[2]
CACHES = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
PLACES: Mapping[str, str] = {  # folder of the tree → its place in the wheel
    "enos": "enos",
    "providers": "",
    "workloads": "enos/workloads",
    "topologies": "enos/topologies",
}
NEEDED = (
    "enos/py.typed",
    "enos_local/py.typed",
    "enos_static/py.typed",
    "enos_local/node/Dockerfile",
    "enos/cloud/guest_root/etc/inittab",
    "enos/images/overrides.j2",
    "enos/ansible/roles/enos_node/tasks/main.yml",
    "enos/workloads/demo/run.yml",
    "enos/topologies/demo.yml",
)
IMPORT_ALL = """
import importlib, pathlib, pkgutil, sys
import enos, enos_local, enos_static
for package in (enos, enos_local, enos_static):
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
print(pathlib.Path(enos.__file__).parents[1])
"""


def uv(*words: str | Path) -> None:
    done = subprocess.run(
        [find_uv(), *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def tree(folder: str) -> dict[str, Path]:
    """Return place in the wheel → file, for every file below a folder of the tree."""
    return {
        str(PurePosixPath(PLACES[folder], path.relative_to(ROOT / folder))): path
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not CACHES & set(path.parts)
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return kind → file: the sdist, the wheel of the tree, the wheel of the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--out-dir", folder / "through", ROOT)
    uv("build", "--quiet", "--wheel", "--out-dir", folder / "straight", ROOT)
    return {
        "sdist": next((folder / "through").glob("*.tar.gz")),
        "through": next((folder / "through").glob("*.whl")),
        "straight": next((folder / "straight").glob("*.whl")),
    }


def contents(wheel: Path) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(wheel) as archive:
        return {
            member.filename: member
            for member in archive.infolist()
            if ".dist-info/" not in member.filename
        }


@pytest.mark.parametrize("kind", ["straight", "through"])
def test_the_wheel_holds_the_tree_and_nothing_else(
    built: Mapping[str, Path], kind: str
) -> None:
    expected = {name for folder in PLACES for name in tree(folder)}
    found = set(contents(built[kind]))

    assert expected - found == set()
    assert found - expected == set()
    assert set(NEEDED) - found == set()


def test_the_wheel_holds_the_bytes_and_permissions_of_the_tree(
    built: Mapping[str, Path],
) -> None:
    files = {name: path for folder in PLACES for name, path in tree(folder).items()}
    with zipfile.ZipFile(built["through"]) as wheel:
        for name, member in contents(built["through"]).items():
            mode = files[name].stat().st_mode
            assert wheel.read(name) == files[name].read_bytes(), name
            assert bool(member.external_attr >> 16 & stat.S_IXUSR) == bool(
                mode & stat.S_IXUSR
            ), name


def test_entry_points_name_what_exists(built: Mapping[str, Path]) -> None:
    with zipfile.ZipFile(built["through"]) as wheel:
        (name,) = (n for n in wheel.namelist() if n.endswith("entry_points.txt"))
        lines = wheel.read(name).decode().splitlines()
    group, points = "", []
    for line in filter(None, lines):
        if line.startswith("["):
            group = line.strip("[]")
        else:
            left, _, right = line.partition(" = ")
            points.append(EntryPoint(name=left, value=right, group=group))

    assert {(point.group, point.name) for point in points} >= {
        ("console_scripts", "enos"),
        ("enos.providers", "local"),
        ("enos.providers", "static"),
    }
    assert all(callable(point.load()) for point in points)


def test_the_sdist_can_be_worked_with(built: Mapping[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert names >= {
        "LICENSE",
        "Makefile",
        "README.md",
        "docs/index.md",
        "pyproject.toml",
        "scripts/install-parts",
        "scripts/make-venv",
        "tests/conftest.py",
    }


@pytest.fixture(scope="module")
def installed(
    built: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a virtual environment with the wheel and what it says it needs."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    uv("venv", "--quiet", folder)
    python = folder / "bin" / "python"
    uv("pip", "install", "--quiet", "--python", python, built["through"])
    return folder


def run(venv: Path, *words: str) -> str:
    """Run a program of an environment outside the tree, return what it prints."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [venv / "bin" / words[0], *words[1:]],
        capture_output=True,
        text=True,
        check=False,
        cwd=venv,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_wheel_works(installed: Path) -> None:
    told = run(installed, "enos", "--help")
    assert all(f"  {name} " in told for name in COMMANDS)
    assert "type: local" in run(installed, "enos", "new", "-")
    listed = run(installed, "enos", "workloads").splitlines()
    assert "demo" in [line.split()[0] for line in listed]
    assert [
        line.split()[0] for line in run(installed, "enos", "providers").splitlines()
    ] == [
        "local",
        "static",
    ]


def test_every_module_imports_with_the_declared_dependencies(installed: Path) -> None:
    place = run(installed, "python", "-c", IMPORT_ALL).strip()

    assert Path(place).is_relative_to(installed.resolve())
