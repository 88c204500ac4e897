"""What an archive tells about its experiment, read in one pass over the file."""

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from enos.archive.manifest import NO_SUM, OK, HostReport, Manifest
from enos.archive.read import visit
from enos.state.journal import Timing, timings

LARGEST = 64 << 20  # bytes of a result that are looked into


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How a benchmark's scenario went.

    Attributes:
        run: the folder of its results, named after time and workload.
        verdict: the outcome in one line.

    """

    run: str
    name: str
    ok: bool
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What was asked and measured between two hosts, as `enos tc --test` left it."""

    source: str
    destination: str
    quantity: str
    asked: float
    measured: float | None
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """An archive in short.

    Attributes:
        size: bytes of the file; `content` of the members unpacked.
        began: time of the journal's first event, UTC, empty without a journal;
            likewise `ended` of its last.
        notes: results that are there and could not be read, and other reservations.

    """

    path: str
    experiment: str
    created: str
    complete: bool
    size: int
    members: int
    content: int
    redactions: int
    withheld: int
    versions: Mapping[str, str]
    hosts: tuple[HostReport, ...]
    began: str = ""
    ended: str = ""
    phases: tuple[Timing, ...] = ()
    scenarios: tuple[Scenario, ...] = ()
    network: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Findings:
    """What the members have told so far."""

    events: list[dict[str, Any]] = field(default_factory=list)
    scenarios: list[Scenario] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def describe(path: Path) -> Description:
    """Read an archive anywhere, without checking its sums; raises as `verify` does."""
    findings = _Findings()

    def look(name: str, size: int, data: IO[bytes]) -> None:
        reader = next(
            (r for like, r in _READERS.items() if fnmatchcase(name, like)), None
        )
        if reader is not None:
            _look_into(name, size, data, reader, findings)

    return _description(path, visit(path, look), findings)


def as_json(description: Description) -> dict[str, Any]:
    """Return it as JSON values."""
    return asdict(description)


def as_text(description: Description) -> str:
    """Return it as lines for people; nothing in it can steer a terminal."""
    lines = (
        *_head_lines(description),
        *_host_lines(description.hosts),
        *(
            f"phase     {timing.what:<10} {timing.status:<9} {timing.seconds:8.1f} s"
            for timing in description.phases
        ),
        *(
            f"network   {link.source} → {link.destination}: {link.quantity} asked "
            f"{link.asked:g}, measured {_figure(link.measured)} {_verdict(ok=link.ok)}"
            for link in description.network
        ),
        *(
            f"scenario  {one.run} {one.name}: {_verdict(ok=one.ok)}, {one.verdict}"
            for one in description.scenarios
        ),
        *(
            f"version   {name} {version}"
            for name, version in description.versions.items()
        ),
        *(f"note      {note}" for note in description.notes),
    )
    return "\n".join("".join(c if c.isprintable() else "�" for c in x) for x in lines)


def _head_lines(description: Description) -> Iterable[str]:
    yield f"{description.experiment}  {description.path}"
    yield (
        f"archived  {description.created}, {description.members} files, "
        f"{description.content / 1e6:.1f} MB in {description.size / 1e6:.1f} MB"
    )
    if description.began:
        yield f"ran       {description.began} to {description.ended}"
    yield (
        f"secrets   {description.redactions} redacted, "
        f"{description.withheld} files left out"
    )


def _host_lines(hosts: Iterable[HostReport]) -> Iterable[str]:
    for host in hosts:
        told = "; ".join((*host.reasons, *(f"no {path}" for path in host.missing)))
        yield f"host      {host.name:<16} {host.status}{f': {told}' if told else ''}"


def _verdict(*, ok: bool) -> str:
    return "passed" if ok else "FAILED"


def _figure(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.6g}"


def _description(path: Path, manifest: Manifest, findings: _Findings) -> Description:
    times = [event["time"] for event in findings.events]
    phases = [timing for timing in timings(findings.events) if timing.kind == "phase"]
    return Description(
        path=str(path),
        experiment=manifest.experiment,
        created=manifest.created,
        complete=all(host.status == OK for host in manifest.hosts),
        size=path.stat().st_size,
        members=len(manifest.members),
        content=sum(member.size for member in manifest.members),
        redactions=sum(member.redactions for member in manifest.members),
        withheld=len(manifest.withheld),
        versions=manifest.versions,
        hosts=manifest.hosts,
        began=_when(min(times)) if times else "",
        ended=_when(max(times)) if times else "",
        phases=tuple(phases),
        scenarios=tuple(findings.scenarios),
        network=tuple(findings.links),
        notes=(*findings.notes, *(() if manifest.sealed else (NO_SUM,))),
    )


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _look_into(
    name: str,
    size: int,
    data: IO[bytes],
    reader: Callable[[str, IO[str], _Findings], None],
    findings: _Findings,
) -> None:
    if size > LARGEST:
        findings.notes.append(f"`{name}` is too large to be looked into")
        return
    text = io.StringIO(data.read().decode("utf-8", "replace"), newline="")
    try:
        reader(name, text, findings)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as bad:
        findings.notes.append(f"`{name}` cannot be read: {type(bad).__name__}: {bad}")


def _read_journal(_name: str, text: IO[str], findings: _Findings) -> None:
    for line in text:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # a line cut off by a crash
        if isinstance(event, dict) and {"time", "kind", "what"} <= event.keys():
            findings.events.append(event | {"time": float(event["time"])})


def _read_network(_name: str, text: IO[str], findings: _Findings) -> None:
    for row in json.load(text)["verdicts"]:
        measured = row["measured"]
        findings.links.append(
            Link(
                source=str(row["source"]),
                destination=str(row["destination"]),
                quantity=str(row["quantity"]),
                asked=float(row["asked"]),
                measured=None if measured is None else float(measured),
                ok=bool(row["ok"]),
            )
        )


def _read_scenarios(name: str, text: IO[str], findings: _Findings) -> None:
    run = name.split("/")[-2]
    for one in json.load(text):
        findings.scenarios.append(
            Scenario(
                run=run,
                name=str(one["name"]),
                ok=bool(one["ok"]),
                verdict=str(one["verdict"]),
            )
        )


_READERS: Mapping[str, Callable[[str, IO[str], _Findings], None]] = {
    "journal.jsonl": _read_journal,
    "results/tc.json": _read_network,
    "results/*/results.json": _read_scenarios,
}
