"""Writes all of a database of measures to standard output, as a tar stream.

    python3 save.py PLACE PORT

Run on the database's machine: PLACE holds enos's monitoring, PORT is where InfluxDB
gives backups. The stream holds ``influxdb/`` (a portable backup, for `influxd restore
-portable`) and ``measures.lp.gz`` (line protocol, times in ns, for any InfluxDB).
"""

import base64
import gzip
import json
import shutil
import socket
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

CHUNK = 10_000
PATIENCE = 120.0
_TAG = str.maketrans({",": "\\,", " ": "\\ ", "=": "\\=", "\n": "\\ "})


def main(place: Path, port: int) -> None:
    """Save everything below a folder of PLACE, send it, remove it."""
    settings = json.loads((place / "agent.json").read_text(encoding="utf-8"))["writer"]
    folder = place / "saved"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "influxdb").mkdir(parents=True)
    try:
        portable(place, folder / "influxdb", settings["database"], port)
        with gzip.open(folder / "measures.lp.gz", "wt", compresslevel=6) as sink:
            for line in lines(settings):
                sink.write(line + "\n")
        with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
            for name in ("influxdb", "measures.lp.gz"):
                tar.add(folder / name, arcname=name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def portable(place: Path, folder: Path, database: str, port: int) -> None:
    """Have InfluxDB write a portable backup of a database."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
    except OSError as silent:  # influxd itself would try for two minutes
        sys.exit(f"InfluxDB gives no backups: {silent}")
    argv = [str(place / "root/usr/bin/influxd"), "backup", "-portable"]
    argv += ["-database", database, "-host", f"127.0.0.1:{port}", str(folder)]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    if done.returncode or not any(folder.iterdir()):
        said = (done.stderr + done.stdout).strip().splitlines()
        sys.exit(f"influxd backup: {said[-1] if said else done.returncode}")


def lines(settings: Mapping[str, str]) -> Iterator[str]:
    """Yield every point in line protocol, measurement by measurement."""
    for answer in ask(settings, "SHOW MEASUREMENTS"):
        for _, (name,) in rows(answer):
            quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
            statement = f"SELECT * FROM {quoted} GROUP BY *"  # noqa: S608 - quoted
            for part in ask(settings, statement):
                for one, values in rows(part):
                    yield line(one, values)


def ask(settings: Mapping[str, str], statement: str) -> Iterator[dict[str, Any]]:
    """Yield the parts of the answer to a statement, times in ns."""
    asked = {
        "q": statement,
        "db": settings["database"],
        "epoch": "ns",
        "chunked": "true",
        "chunk_size": str(CHUNK),
    }
    pair = base64.b64encode(f"{settings['user']}:{settings['password']}".encode())
    request = urllib.request.Request(  # noqa: S310 - a URL enos wrote
        f"{settings['url']}/query?{urlencode(asked)}",
        headers={"Authorization": f"Basic {pair.decode()}"},
    )
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=PATIENCE) as answer:
        yield from map(json.loads, _lines(answer))


def rows(answer: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Yield each row of an answer with the series it belongs to."""
    for result in answer.get("results", ()):
        if "error" in result:
            sys.exit(f"InfluxDB: {result['error']}")
        for series in result.get("series", ()):
            for values in series["values"]:
                yield series, values


def line(series: Mapping[str, Any], values: list[Any]) -> str:
    r"""Return one point in line protocol.

    >>> line({"name": "cpu", "tags": {"host": "a b", "instance": ""},
    ...       "columns": ["time", "value", "why"]}, [5, 0.5, None])
    'cpu,host=a\\ b value=0.5 5'
    """
    tags = [
        f",{key.translate(_TAG)}={value.translate(_TAG)}"
        for key, value in series.get("tags", {}).items()
        if value
    ]
    fields = [
        f"{key.translate(_TAG)}={_field(value)}"
        for key, value in zip(series["columns"][1:], values[1:])  # noqa: B905 - 3.9
        if value is not None
    ]
    name = series["name"].translate(_TAG)
    return f"{name}{''.join(tags)} {','.join(fields)} {values[0]}"


def _field(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value) if not isinstance(value, bool) else str(value).lower()


def _lines(answer: IO[bytes]) -> Iterator[bytes]:
    return (one for one in answer if one.strip())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
