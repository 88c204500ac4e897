"""The workloads and topologies that come with enos, found by name or by path.

In a wheel they lie inside the package, in a working copy beside it.
"""

from itertools import takewhile
from pathlib import Path
from typing import Literal

from enos.errors import ConfigError, listed, meant

Kind = Literal["workloads", "topologies"]
RUN = "run.yml"


def folder(kind: Kind) -> Path:
    """Return the folder that holds the shipped files of a kind."""
    shipped = Path(__file__).parent / kind
    return shipped if shipped.is_dir() else Path(__file__).parents[1] / kind


def names(kind: Kind) -> tuple[str, ...]:
    """Return the names of all that is shipped, in alphabetical order."""
    place = folder(kind)
    if kind == "workloads":
        return tuple(sorted(file.parent.name for file in place.glob(f"*/{RUN}")))
    return tuple(sorted(file.stem for file in place.glob("*.yml")))


def purpose(name: str) -> str:
    """Return what a shipped workload is for: the first sentence of its file.

    >>> purpose("demo")
    'A minute of benchmarks that touches Keystone, Neutron and Nova.'
    """
    text = (folder("workloads") / name / RUN).read_text(encoding="utf-8")
    lines = takewhile(lambda line: line.startswith("# "), text.splitlines())
    told = " ".join(line.removeprefix("# ") for line in lines)
    sentence, stop, _ = told.partition(". ")
    return sentence + stop.strip()


def find(kind: Kind, name: str | Path) -> Path:
    """Return the file a user means by a path or by the name of a shipped one.

    A path wins over a name; a folder stands for the `run.yml` in it. Raises
    ConfigError when there is neither.
    """
    path = Path(name).expanduser()
    given = path / RUN if kind == "workloads" and path.is_dir() else path
    if given.is_file():
        return given
    known = names(kind)
    if str(name) in known:
        place = folder(kind)
        return place / name / RUN if kind == "workloads" else place / f"{name}.yml"
    if given != path:
        raise ConfigError(
            f"`{path}` holds no `{RUN}`", hint=f"shipped: {listed(known)}"
        )
    raise ConfigError(f"there is no file `{path}`", hint=meant(str(name), known))
