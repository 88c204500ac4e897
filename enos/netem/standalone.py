"""Files of this package that run on the hosts, each complete in itself."""

from importlib.resources import files

_IMPORT = "from enos.netem.precedence import hurry\n"


def standalone(name: str) -> str:
    """Return the source of `delayd.py` or `prober.py`, fit for a host without enos."""
    package = files("enos.netem")
    source = package.joinpath(name).read_text(encoding="utf-8")
    inlined = package.joinpath("precedence.py").read_text(encoding="utf-8")
    return source.replace(_IMPORT, inlined)
