"""What the links were before anything was emulated, kept until the machines are others.

`tc --test` takes it off what it measures. It goes with the machines it was measured
between, and is measured for what was not asked before: new pairs, and rates up to the
highest that was ever asked.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from enos import netem
from enos.phases.session import Session
from enos.state.directory import write_atomically

FILE = "tc-baseline.json"
MACHINES = "machines"


def ensure(session: Session, pairs: Sequence[netem.Pair]) -> None:
    """Measure what the baseline lacks of these pairs, with nothing emulated."""
    kept = read(session)
    missing = lacking(kept, pairs)
    if kept and not missing:
        return
    sockets = session.directory.sockets
    netem.reset(session.testbed, session.shell, session.progress, sockets=sockets)
    found = measured(session, missing)
    whole = replace(merged(kept, found), facts={MACHINES: machines(session)})
    text = json.dumps(whole.to_json(), indent=2) + "\n"
    write_atomically(session.directory.results / FILE, text)


def read(session: Session) -> netem.Measurement | None:
    """Return the baseline, None before there is one of these machines."""
    file = session.directory.results / FILE
    if not file.exists():
        return None
    found = netem.Measurement.from_json(json.loads(file.read_text(encoding="utf-8")))
    return found if found.facts.get(MACHINES) == machines(session) else None


def machines(session: Session) -> str:
    """Return what tells these machines from earlier ones of the same names."""
    state = session.directory.load()
    given_back = state.phases.get("destroy")
    addresses = [
        (host.name, host.address, *(nic.addresses for nic in host.nics))
        for host in session.testbed.hosts
    ]
    since = given_back.finished if given_back else 0.0
    return sha256(json.dumps([state.session, since, addresses]).encode()).hexdigest()


def lacking(
    kept: netem.Measurement | None, pairs: Sequence[netem.Pair]
) -> tuple[netem.Pair, ...]:
    """Return the pairs of which round trips, or a rate that is asked, are not known.

    Of a pair that is cut off no rate can be measured, so that none is lacking.
    """
    if kept is None:
        return tuple(pairs)
    return tuple(pair for pair in pairs if not _covers(kept.of(pair), pair))


def merged(
    kept: netem.Measurement | None, found: netem.Measurement
) -> netem.Measurement:
    """Return both; where a pair is in both, what was found now counts."""
    now = {one.pair.key for one in found.pairs}
    others = kept.pairs if kept else ()
    rest = tuple(one for one in others if one.pair.key not in now)
    return netem.Measurement(pairs=(*rest, *found.pairs))


def _covers(one: netem.MeasuredPair | None, pair: netem.Pair) -> bool:
    if one is None:
        return False
    ways = (
        (one.pair.there, one.rate_there, pair.there),
        (one.pair.back, one.rate_back, pair.back),
    )
    # A link is loaded with little more than what is asked of it, see `netem.rates`.
    return netem.cut_off(pair.there, pair.back) or all(
        wanted.rate is None
        or (found and was.rate is not None and was.rate.bits >= wanted.rate.bits)
        for was, found, wanted in ways
    )


def measured(
    session: Session,
    pairs: Sequence[netem.Pair],
    *,
    baseline: netem.Measurement | None = None,
) -> netem.Measurement:
    """Return what is found between pairs now; arguments as of `netem.measure`."""
    return netem.measure(
        pairs,
        session.testbed,
        session.shell,
        session.progress,
        baseline=baseline,
        sockets=session.directory.sockets,
    )
