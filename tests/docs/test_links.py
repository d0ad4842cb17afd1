import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, prose

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
IMAGE = re.compile(r'<img [^>]*src="([^"]+)"[^>]*>')
PRIVATE = re.compile(r"/(work|tmp|home)/")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(prose(page)):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_images_exist_and_say_what_they_show(page: Path) -> None:
    for match in IMAGE.finditer(page.read_text()):
        assert (page.parent / match[1]).is_file(), match[1]
        assert re.search(r'alt="[^"]{20,}"', match[0]), match[1]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_page_has_one_title(page: Path) -> None:
    assert len(re.findall(r"^# ", prose(page), re.MULTILINE)) == 1


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    queue = [ROOT / "README.md"]
    while queue:
        page = queue.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = [link.partition("#")[0] for link in LINK.findall(prose(page))]
        queue += [(page.parent / link).resolve() for link in links if link and "://" not in link]

    assert seen >= set(PAGES)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_pages_name_no_private_place(page: Path) -> None:
    assert PRIVATE.search(page.read_text()) is None
