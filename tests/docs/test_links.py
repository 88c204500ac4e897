"""Links between pages lead somewhere, and every page is reached from the README."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<to>[^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(?P<text>.+)$", re.MULTILINE)


def links() -> Iterator[tuple[str, Path, str]]:
    for page in PAGES:
        prose = FENCED.sub("", page.read_text(encoding="utf-8"))
        for match in LINK.finditer(prose):
            if "://" not in match["to"] and not match["to"].startswith("mailto:"):
                yield f"{page.relative_to(ROOT)} → {match['to']}", page, match["to"]


LINKS = {name: (page, to) for name, page, to in links()}


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code forges make them."""
    prose = FENCED.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", match["text"].lower()).replace(" ", "-")
        for match in HEADING.finditer(prose)
    }


@pytest.mark.parametrize("name", LINKS)
def test_a_link_leads_somewhere(name: str) -> None:
    page, to = LINKS[name]
    path, _, anchor = to.partition("#")
    target = (page.parent / path).resolve() if path else page

    assert target.exists()
    assert target.is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(target)


def test_every_page_is_listed_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    listed = {
        (page.parent / to.partition("#")[0]).resolve()
        for page, to in LINKS.values()
        if page == index
    }

    assert set(PAGES) - listed - {index, ROOT / "README.md"} == set()


def test_every_page_is_reached_from_the_readme() -> None:
    reached, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        for source, to in LINKS.values():
            target = (source.parent / to.partition("#")[0]).resolve()
            if source == page and target.suffix == ".md":
                ahead.append(target)
            elif source == page and target.is_dir():
                ahead.extend(target.glob("*.md"))

    assert set(PAGES) - reached == set()
