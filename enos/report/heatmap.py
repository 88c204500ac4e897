"""The round trips between all groups as a heat map and as text. Pure.

Rows are where probes start, columns where they turn round. Colours tell how long a
round trip is (a logarithmic scale of one hue, legible to all), an orange frame that it
is not what was asked.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from enos.report.readings import Link

WIDTH, HEIGHT = 122, 58  # pixels of a cell
GAP, LETTER, TOP = 28, 6.6, 56
WIDEST = 1200  # pixels, before panels go below one another
LIGHT, DARK = (235, 244, 251), (8, 64, 129)  # ends of the scale, sRGB
INK, DIM, LINE, BAD, NONE = "#1f2328", "#59636e", "#d8dee4", "#d55e00", "#f6f8fa"
ABSENT = "\N{EN DASH}"
HALF = 0.5  # of the scale, where the letters turn white
STEPS = 48  # of the picture of the scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What was asked and measured from one group to another and back.

    Attributes:
        asked: milliseconds, None where the groups were cut off from one another.
        baseline: before anything was emulated, None when not measured.
        measured: None when nothing came back.
        details: lines for whoever wants to know more.

    """

    source: str
    destination: str
    network: str
    asked: float | None
    measured: float | None
    ok: bool
    baseline: float | None = None
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RttMatrix:
    """All pairs of groups on all networks; a pair without a cell was not measured."""

    groups: tuple[str, ...]
    networks: tuple[str, ...]
    cells: tuple[Cell, ...]
    _by_place: Mapping[tuple[str, str, str], Cell] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places = {(c.network, c.source, c.destination): c for c in self.cells}
        object.__setattr__(self, "_by_place", places)

    def cell(self, network: str, source: str, destination: str) -> Cell | None:
        """Return what was found there, None where nothing was measured."""
        return self._by_place.get((network, source, destination))

    @property
    def span(self) -> tuple[float, float]:
        """Return the ends of the scale: the shortest and longest round trip."""
        found = [cell.measured for cell in self.cells if cell.measured]
        return (min(found), max(found)) if found else (1.0, 1.0)


def rtt_matrix(
    links: Iterable[Link], groups: Mapping[str, Sequence[str]]
) -> RttMatrix | None:
    """Return the matrix that verdicts come to, None when they have no round trips.

    Args:
        links: verdicts, in the order measured.
        groups: those of each host; a host without any stands for itself, and so do
            those of groups between which several pairs of hosts were measured.

    """
    judged: dict[tuple[str, str, str], dict[str, Link]] = {}
    for link in links:
        place = (link.network, link.source, link.destination)
        judged.setdefault(place, {})[link.quantity] = link
    names = _names(judged, groups)
    cells = tuple(
        _cell(found, names)
        for found in judged.values()
        if "rtt" in found or _cut(found.get("loss"))
    )
    if not cells:
        return None
    ends = {end for cell in cells for end in (cell.source, cell.destination)}
    return RttMatrix(
        groups=tuple(dict.fromkeys(n for n in names.values() if n in ends)),
        networks=tuple(dict.fromkeys(cell.network for cell in cells)),
        cells=cells,
    )


def _names(
    places: Iterable[tuple[str, str, str]], groups: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Return what each host is called, so that no pair hides another."""
    names = {host: "+".join(several) or host for host, several in groups.items()}
    pairs: dict[tuple[str, str, str], set[frozenset[str]]] = {}
    for network, *ends in places:
        one, other = (names.get(end, end) for end in ends)
        pairs.setdefault((network, one, other), set()).add(frozenset(ends))
    mixed = {
        name
        for (_, *ends), several in pairs.items()
        if len(several) > 1
        for name in ends
    }
    return {host: host if name in mixed else name for host, name in names.items()}


def _cut(loss: Link | None) -> bool:
    return loss is not None and loss.asked >= 100  # noqa: PLR2004


def _cell(found: Mapping[str, Link], names: Mapping[str, str]) -> Cell:
    rtt = found.get("rtt")
    any_ = rtt or found["loss"]
    details = [f"{any_.source} to {any_.destination}"]
    if rtt:
        details.append(f"accepted: {figure(rtt.low)} to {figure(rtt.high)} ms")
    details += [f"{rtt.note}"] if rtt and rtt.note else []
    return Cell(
        source=names.get(any_.source, any_.source),
        destination=names.get(any_.destination, any_.destination),
        network=any_.network,
        asked=rtt.asked if rtt else None,
        baseline=rtt.baseline if rtt else None,
        measured=rtt.measured if rtt else None,
        ok=rtt.ok if rtt else any_.ok,
        details=tuple(details),
    )


def figure(value: float) -> str:
    """Return milliseconds with about three digits.

    >>> figure(0.1234), figure(50.24), figure(401.7)
    ('0.12', '50.2', '402')
    """
    digits = max(0, 2 - len(str(int(value))) + 1)
    return f"{value:.{min(2, digits)}f}"


def as_text(matrix: RttMatrix) -> str:
    """Return a table for each network, for terminals."""
    return "\n\n".join(_text(matrix, network) for network in matrix.networks)


def _text(matrix: RttMatrix, network: str) -> str:
    rows = [["from \\ to", *matrix.groups]]
    for source in matrix.groups:
        several = (matrix.cell(network, source, target) for target in matrix.groups)
        rows.append([source, *map(_words, several)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    head = f"round trips on `{network}`, median in ms (asked + baseline), ! outside"
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join((head, *(line.rstrip() for line in lines)))


def _words(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    mark = "" if cell.ok else " !"
    if cell.asked is None:
        return f"cut{mark}"
    got = "lost" if cell.measured is None else figure(cell.measured)
    return f"{got} ({figure(cell.asked + (cell.baseline or 0.0))}){mark}"


def as_svg(matrix: RttMatrix) -> str:
    """Return one picture with a panel for each network and the scale below."""
    labels = LETTER * max((len(group) for group in matrix.groups), default=0) + 14
    wide = labels + WIDTH * len(matrix.groups) + GAP
    high = TOP + HEIGHT * len(matrix.groups) + GAP
    across = max(1, min(len(matrix.networks), int(WIDEST // wide)))
    down = math.ceil(len(matrix.networks) / across)
    width, height = max(460.0, wide * across), high * down + 56
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} '
            f'{height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img" '
            f'font-family="system-ui, sans-serif" font-size="12">'
        ),
        "<title>Round trips between groups</title>",
    ]
    for number, network in enumerate(matrix.networks):
        left, top = wide * (number % across), high * (number // across)
        parts.append(f'<g transform="translate({left:.0f} {top:.0f})">')
        parts += _panel(matrix, network, labels)
        parts.append("</g>")
    parts += _scale(matrix.span, high * down + 8)
    return "\n".join((*parts, "</svg>"))


def _panel(matrix: RttMatrix, network: str, labels: float) -> Iterator[str]:
    yield _letters(0, 14, network, weight=600)
    yield _letters(labels, 32, "from row to column and back", fill=DIM)
    for place, group in enumerate(matrix.groups):
        middle = labels + WIDTH * (place + 0.5)
        yield _letters(middle, TOP - 8, group, anchor="middle")
        beside = TOP + HEIGHT * (place + 0.5) + 4
        yield _letters(labels - 8, beside, group, anchor="end")
    for row, source in enumerate(matrix.groups):
        for column, target in enumerate(matrix.groups):
            left, top = labels + WIDTH * column, TOP + HEIGHT * row
            yield f'<g transform="translate({left:.0f} {top})">'
            yield from _square(matrix.cell(network, source, target), matrix.span)
            yield "</g>"


def _square(cell: Cell | None, span: tuple[float, float]) -> Iterator[str]:
    if cell is None:
        yield _box(NONE, LINE, 1)
        yield _letters(WIDTH / 2, HEIGHT / 2 + 4, ABSENT, anchor="middle", fill=DIM)
        return
    share = _share(cell.measured, span)
    fill = NONE if share is None else _colour(share)
    ink = "#ffffff" if share is not None and share > HALF else INK
    yield f"<title>{escape(chr(10).join(_told(cell)))}</title>"
    yield _box(fill, LINE if cell.ok else BAD, 1 if cell.ok else 3)
    got = "no reply" if cell.measured is None else f"{figure(cell.measured)} ms"
    mark = "✓" if cell.ok else "✕"
    asked = "asked: cut off" if cell.asked is None else _asked(cell)
    yield _letters(
        WIDTH / 2, 26, f"{got} {mark}", anchor="middle", fill=ink, weight=600
    )
    yield _letters(WIDTH / 2, 44, asked, anchor="middle", fill=ink, size=11)


def _asked(cell: Cell) -> str:
    base = f" + {figure(cell.baseline)}" if cell.baseline is not None else ""
    return f"asked {cell.asked or 0.0:.4g}{base}"


def _told(cell: Cell) -> Sequence[str]:
    head = f"{cell.source} to {cell.destination} and back on {cell.network}"
    return (head, *cell.details, "as asked" if cell.ok else "not as asked")


def _scale(span: tuple[float, float], top: float) -> Iterator[str]:
    low, high = span
    step = 200 / STEPS
    for place in range(STEPS):
        fill = _colour(place / (STEPS - 1))
        yield (
            f'<rect x="{step * place:.2f}" y="{top:.0f}" width="{step + 0.5:.2f}" '
            f'height="12" fill="{fill}"/>'
        )
    yield _letters(0, top + 27, f"{figure(low)} ms", fill=DIM)
    yield _letters(200, top + 27, f"{figure(high)} ms", anchor="end", fill=DIM)
    yield (
        f'<rect x="240" y="{top:.0f}" width="16" height="12" fill="{NONE}" '
        f'stroke="{BAD}" stroke-width="3"/>'
    )
    yield _letters(263, top + 10, "✕ outside tolerance", fill=DIM)
    yield _letters(400, top + 10, f"{ABSENT} not measured", fill=DIM)


def _share(value: float | None, span: tuple[float, float]) -> float | None:
    """Return where a value is on the scale, 0 to 1."""
    if value is None:
        return None
    low, high = (math.log(max(end, 0.01)) for end in span)
    if high <= low:
        return 0.0
    return min(1.0, max(0.0, (math.log(max(value, 0.01)) - low) / (high - low)))


def _colour(share: float) -> str:
    mixed = (a + (b - a) * share for a, b in zip(LIGHT, DARK, strict=True))
    return "#" + "".join(f"{round(one):02x}" for one in mixed)


def _box(fill: str, stroke: str, width: int) -> str:
    inset = width / 2 + 1
    return (
        f'<rect x="{inset}" y="{inset}" width="{WIDTH - 2 * inset}" '
        f'height="{HEIGHT - 2 * inset}" rx="4" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="{width}"/>'
    )


def _letters(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    fill: str = INK,
    weight: int = 400,
    size: int = 12,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" '
        f'style="font-size:{size}px;font-weight:{weight}">{escape(text)}</text>'
    )
