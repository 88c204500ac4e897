"""Files of this package that run on the hosts, each complete in itself."""

import re
from importlib.resources import files

INLINED = ("impairment", "nfqueue", "precedence", "sleeper")
"""Modules that such a file may import; they import nothing of enos themselves."""


def standalone(name: str) -> str:
    """Return the source of `delayd.py` or `prober.py`, fit for a host without enos."""
    package = files("enos.netem")
    source = package.joinpath(name).read_text(encoding="utf-8")
    for module in INLINED:
        line = rf"^from enos\.netem\.{module} import (?:\([^)]*\)|.*)\n"
        found = re.search(line, source, re.MULTILINE)
        if found:
            inlined = package.joinpath(f"{module}.py").read_text(encoding="utf-8")
            source = source[: found.start()] + inlined + source[found.end() :]
    return source
