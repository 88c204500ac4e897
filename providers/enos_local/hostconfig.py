"""What the nodes take over from the host: mirrors, certificates, proxies, pip, apt."""

import configparser
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from enos.process import Shell
from enos_local import aptsources

SUITE = "trixie"
AUTHORITIES = "usr/local/share/ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
PIP_FILES = ("/etc/pip.conf", "~/.pip/pip.conf", "~/.config/pip/pip.conf")
PIP_OPTIONS = ("index-url", "extra-index-url", "trusted-host", "timeout")
APT_OPTIONS = re.compile(
    r"Acquire::(?:https?::(?:Proxy|Timeout|Verify-)|Check-Valid-Until|Retries)[^;]*;"
)


def mirror(root: Path = Path("/")) -> aptsources.Mirror:
    """Return the Debian mirror of this host."""
    folder = root / "etc/apt"
    lists = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]
    found = [s for path in lists for s in aptsources.parse_one_line(_read(path))]
    for path in sorted(folder.glob("sources.list.d/*.sources")):
        found += aptsources.parse_deb822(_read(path))
    return aptsources.debian_mirror(found, _read(root / "etc/os-release"))


def image_files(shell: Shell, root: Path = Path("/")) -> dict[str, str]:
    """Return the files a node image takes from the host: path in it → content."""
    files = {
        "etc/apt/sources.list": "",
        "etc/apt/sources.list.d/debian.sources": aptsources.render(mirror(root), SUITE),
        "etc/pip.conf": pip_conf(_pip_texts(), os.environ),
    }
    for path in sorted((root / AUTHORITIES).glob("**/*.crt")):
        files[f"{AUTHORITIES}/{path.name}"] = _read(path)
    # For https mirrors, before the image has certificates of its own.
    bundle = _read(root / BUNDLE.lstrip("/"))
    if bundle:
        files["usr/share/enos/host-authorities.crt"] = bundle
    dump = shell.run(["apt-config", "dump"], check=False).stdout if _has_apt() else ""
    files["etc/apt/apt.conf.d/80enos-host"] = apt_conf(dump, bundle=bool(bundle))
    return files


def apt_conf(dump: str, *, bundle: bool) -> str:
    """Return the apt options worth taking from the output of `apt-config dump`."""
    lines = [line for line in dump.splitlines() if APT_OPTIONS.fullmatch(line.strip())]
    if bundle:
        path = "/usr/share/enos/host-authorities.crt"
        lines.append(f'Acquire::https::CAInfo "{path}";')
    return "".join(f"{line}\n" for line in lines)


def pip_conf(texts: Iterable[str], environ: Mapping[str, str]) -> str:
    """Return a pip.conf with the indexes of the host that a node can reach too."""
    chosen: dict[str, str] = {}
    for text in texts:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue  # pip itself refuses such a file: nothing to take over
        if parser.has_section("global"):
            chosen.update(parser.items("global"))
    for option in PIP_OPTIONS:
        name = "PIP_" + option.upper().replace("-", "_")
        if environ.get(name):
            chosen[option] = environ[name]
    lines = [f"{o} = {v}" for o in PIP_OPTIONS if (v := _reachable(chosen.get(o, "")))]
    return "\n".join(["[global]", f"cert = {BUNDLE}", *lines, ""])


def proxies(
    environ: Mapping[str, str], *, direct: Iterable[str] = ()
) -> dict[str, str]:
    """Return the proxy variables, lower and upper case; `direct` needs no proxy."""
    found = {
        name: environ.get(name) or environ.get(name.upper()) or "" for name in PROXIES
    }
    if not any(found[name] for name in PROXIES if name != "no_proxy"):
        return {}
    without = [*filter(None, found["no_proxy"].split(",")), "localhost", "127.0.0.1"]
    found["no_proxy"] = ",".join(dict.fromkeys([*without, *direct]))
    both = {name.upper(): value for name, value in found.items()} | found
    return {name: value for name, value in both.items() if value}


def _reachable(value: str) -> str:
    words = value.split()
    return " ".join(w for w in words if urlsplit(w).scheme != "file" and w[:1] != "/")


def _pip_texts() -> tuple[str, ...]:
    return tuple(_read(Path(name).expanduser()) for name in PIP_FILES)


def _has_apt() -> bool:
    return Path("/usr/bin/apt-config").exists()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
