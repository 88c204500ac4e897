"""Points on their way to the database: kept until it has taken them.

A network that is cut and a database that is away or full leave no gap, as long as they
come back before the memory for waiting points is used up. Written in InfluxDB's line
protocol, over HTTP (https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint).
"""

import base64
import gzip
import re
import urllib.request
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

from enos.metrics.agent.samples import Rates, Sample

MOST = 200_000
"""Points kept while the database is away: an hour of 55 a second, some 20 MB."""

BATCH = 5000
PATIENCE = 10.0
BAD_REQUEST = 400
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ESCAPED = str.maketrans({",": "\\,", " ": "\\ ", "=": "\\=", "\n": "\\ "})
"""How names and tags are written in line protocol, for `str.translate`."""


_DROPPED = re.compile(r"partial write: .*dropped=(\d+)", re.DOTALL)
_UNREADABLE = "unable to parse"


def refused(said: str, sent: int) -> int:
    r"""Return how many points of a write InfluxDB 1.x refused, by its answer of 400.

    It takes the others of such a write: it says how many it dropped, or names each
    line it could not read. Anything else is a refusal of all.

    >>> refused('{"error":"partial write: field type conflict … dropped=2"}', 5000)
    2
    >>> refused('{"error":"partial write: unable to parse x: … dropped=0"}', 5000)
    1
    >>> refused('{"error":"database is required"}', 5000)
    5000
    """
    told = _DROPPED.search(said)
    if told is None:
        return sent
    return min(sent, int(told[1]) or said.count(_UNREADABLE)) or sent


def _said(answer: HTTPError) -> str:
    try:
        text: str = answer.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return text


@dataclass
class Writer:
    """Takes samples, sends lines.

    Attributes:
        host: name of this machine, a tag of every point.
        url: of the database, ``http://10.0.0.1:8086``.
        dropped: points thrown away since memory for them was used up.
        refused: points the database will never take.
        left: points that waited after the last attempt to send them.

    """

    host: str
    url: str
    database: str
    user: str
    password: str
    dropped: int = 0
    refused: int = 0
    left: int = 0
    problem: str = ""
    _rates: Rates = field(default_factory=Rates)
    _waiting: "deque[str]" = field(default_factory=lambda: deque(maxlen=MOST))
    _heads: dict[tuple[str, str, str], str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _sending: Lock = field(default_factory=Lock)

    def take(self, when: float, samples: Iterable[Sample]) -> None:
        """Keep samples of one moment, in seconds since the epoch."""
        with self._lock:
            for sample in samples:
                value = self._rates.value(when, sample)
                if value is None:
                    continue
                self.dropped += len(self._waiting) == MOST
                stamp = round(when * 1000)
                self._waiting.append(f"{self._head(sample)} value={value:.10g} {stamp}")
            self._rates.sweep(when)

    def send(self) -> None:
        """Send what is waiting; what the database does not take now stays waiting."""
        with self._sending:
            self._send()
            self.left = len(self._waiting)

    def _send(self) -> None:
        while batch := self._next():
            try:
                self._post("\n".join(batch))
            except HTTPError as answer:
                said = _said(answer)
                self.problem = f"{answer.code} {answer.reason}"
                if answer.code != BAD_REQUEST:
                    return
                self.refused += refused(said, len(batch))  # they would be for ever
            except (URLError, OSError) as away:
                self.problem = str(away)
                return
            else:
                self.problem = ""
            self._done(batch)

    @property
    def waiting(self) -> int:
        """Return how many points wait."""
        return len(self._waiting)

    def load(self, file: Path) -> None:
        """Take up the points an earlier process left in a file, the newest first."""
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        with self._lock:
            room = MOST - len(self._waiting)
            kept = lines[-room:] if room else []
            self.dropped += len(lines) - len(kept)
            self._waiting.extendleft(reversed(kept))
        file.unlink(missing_ok=True)

    def save(self, file: Path) -> None:
        """Leave the points that wait in a file."""
        with self._lock:
            if self._waiting:
                file.write_text("\n".join(self._waiting) + "\n", encoding="utf-8")

    def _next(self) -> list[str]:
        with self._lock:
            return [self._waiting[n] for n in range(min(BATCH, len(self._waiting)))]

    def _done(self, batch: list[str]) -> None:
        """Drop a batch; its oldest may have been dropped meanwhile for newer ones."""
        sent = set(batch)
        with self._lock:
            while self._waiting and self._waiting[0] in sent:
                self._waiting.popleft()

    def _head(self, sample: Sample) -> str:
        key = (sample.measure, sample.instance, sample.unit)
        if key not in self._heads:
            tags = {"host": self.host, "instance": sample.instance, "unit": sample.unit}
            told = [f"{k}={v.translate(ESCAPED)}" for k, v in tags.items() if v]
            self._heads[key] = ",".join((sample.measure.translate(ESCAPED), *told))
        return self._heads[key]

    def _post(self, text: str) -> None:
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        query = urlencode({"db": self.database, "precision": "ms"})
        request = urllib.request.Request(  # noqa: S310 - a URL enos wrote
            f"{self.url}/write?{query}",
            # A tenth of the bytes, which may cross a link that is shaped.
            data=gzip.compress(text.encode(), compresslevel=1),
            headers={"Authorization": f"Basic {pair}", "Content-Encoding": "gzip"},
        )
        with _DIRECT.open(request, timeout=PATIENCE):
            pass
