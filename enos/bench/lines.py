"""Reading the lines of the programs enos carries to hosts. Pure.

Each writes one JSON object a line, ``{"event": "awaiting", "what": …}``, among lines
of other programs.
"""

import json
from collections.abc import Mapping
from typing import Any


def event(line: str) -> Mapping[str, Any] | None:
    """Return the event a line holds; None for any other line, a garbled one too.

    Standard error comes by the same way and may be written into the middle of a line.

    >>> event('{"event": "ended"}')
    {'event': 'ended'}
    >>> event('{"event": "endWARNING: no')
    """
    if not line.startswith('{"event"'):
        return None
    try:
        plain = json.loads(line)
    except ValueError:
        return None
    return dict(plain)
