"""Every link of the docs leads somewhere: to a page and a heading that are there, or to an address that can be one.

Whether an outside address answers is not asked: the tests need no network.
"""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

ROOT: Final = Path(__file__).parent.parent.parent
PAGES: Final = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE: Final = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def links_of(page: Path) -> list[str]:
    """The targets of a page's links, but for what stands in code."""
    return LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))


def anchors_of(page: Path) -> set[str]:
    """What the headings of a page are called in links."""
    headings = re.findall(r"^#{1,3} (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def fault_of(page: Path, link: str) -> str:
    """What is wrong with a link; nothing, where all is well."""
    parts = urlsplit(link)
    if parts.scheme or link.startswith("//"):
        is_whole = parts.scheme == "https" and parts.hostname is not None and "." in parts.hostname
        return "" if is_whole else "no https address"
    target = (page.parent / parts.path).resolve() if parts.path else page
    if not target.exists():
        return "no such file"
    if parts.fragment and parts.fragment not in anchors_of(target):
        return "no such heading"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_the_page_lead_somewhere(page: Path) -> None:
    assert {link: fault for link in links_of(page) if (fault := fault_of(page, link))} == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_installs_postroom_from_a_clone(page: Path) -> None:
    assert not re.findall(r"pip install ['\"]?postroom\b", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("other.md", ""),
        ("other.md#two-words", ""),
        ("#here", ""),
        ("https://www.asyncapi.com", ""),
        ("missing.md", "no such file"),
        ("other.md#three", "no such heading"),
        ("#there", "no such heading"),
        ("http://www.asyncapi.com", "no https address"),
        ("https://nowhere", "no https address"),
    ],
)
def test_what_is_wrong_with_a_link_is_found(tmp_path: Path, link: str, fault: str) -> None:
    (tmp_path / "other.md").write_text("# Two words!\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Here\n\n[a]({link}) and `[code](nowhere)`\n")
    assert [fault_of(page, each) for each in links_of(page)] == [fault]


def test_every_how_to_is_in_the_index() -> None:
    folder = ROOT / "docs" / "how-to"
    listed = set(links_of(folder / "index.md"))
    assert {path.name for path in folder.glob("*.md")} - listed == {"index.md"}
