"""Names of members that are safe to extract anywhere. Pure."""

from pathlib import PurePosixPath

LONGEST = 1024


def fault(path: str) -> str:
    """Return why a path is not fit to be a member's name, empty when it is.

    >>> fault("hosts/control-1/logs/nova/nova-api.log")
    ''
    >>> fault("hosts/../../etc/passwd")
    'it climbs out of its folder'
    """
    if not path or len(path) > LONGEST:
        return "its name is empty or too long"
    if path.startswith("/") or "\\" in path or (path[1:2] == ":"):
        return "its name is absolute or holds a backslash"
    if ".." in path.split("/"):
        return "it climbs out of its folder"
    if str(PurePosixPath(path)) != path:
        return "its name has empty or dot parts"
    if not path.isprintable():
        return "its name holds control characters or is not UTF-8"
    return ""


def printable(path: str) -> str:
    """Return a path that can be shown and saved, whatever it was."""
    return path.encode("unicode_escape", "backslashreplace").decode("ascii")[:LONGEST]
