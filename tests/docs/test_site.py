import hashlib
import os
import re
import runpy
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mkdocs.config import load_config

from tests.docs.pages import ROOT, blocks

HOOKS = runpy.run_path(str(ROOT / "docs" / "site_hooks.py"))
DOCS = ROOT / "docs"


class Addresses(HTMLParser):
    """What a page links to, what it loads, and which anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ("script", "img", "iframe") and "src" in found:
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") != "canonical" and "href" in found:
            self.loaded.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Addresses]:
    # What incident reports look like is shown as it is; nothing of it is this site's.
    shown = site / "repository"
    found = [path for path in site.rglob("*.html") if not path.is_relative_to(shown)]
    return {path: Addresses(path.read_text()) for path in found}


def named(nav: Any) -> Iterator[str]:
    """Every page that a navigation names, in its order."""
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from named(item)


@pytest.fixture(scope="module")
def navigation() -> list[str]:
    config = load_config(str(ROOT / "mkdocs.yml"))
    return list(named(HOOKS["with_decisions"](config.nav)))


def test_every_page_is_in_the_navigation_once(navigation: list[str]) -> None:
    written = [path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")]

    assert Counter(navigation) == Counter([*written, *HOOKS["PAGES"].values()])


def test_the_navigation_is_in_the_order_that_a_reader_needs(navigation: list[str]) -> None:
    order = [
        "why.md",
        "concepts.md",
        "architecture.md",
        "getting-started.md",
        "deploying-to-aws.md",
        "deployments.md",
        "flags.md",
        "experiments.md",
        "migrations.md",
        "regions.md",
        "operations.md",
        "cli.md",
    ]

    assert sorted(order, key=navigation.index) == order


def test_the_site_has_a_page_for_each_of_the_navigation(site: Path, navigation: list[str]) -> None:
    for page in navigation:
        address = re.sub(r"README\.md$", "index.md", page)
        assert (site / address).with_suffix(".html").is_file(), page


def test_links_of_the_site_lead_somewhere(pages: dict[Path, Addresses], site: Path) -> None:
    for path, page in pages.items():
        if path.name == "404.html":  # served at any address, so its links begin with /
            continue
        for link in page.links:
            if re.match(r"[a-z]+:", link):
                continue
            address, _, anchor = link.partition("#")
            target = (path.parent / address).resolve() if address else path
            if target.is_dir():
                target = target / "index.html"
            assert target.is_file(), f"{path.relative_to(site)}: {link}"
            if anchor and target in pages:
                assert anchor in pages[target].anchors, f"{path.relative_to(site)}: {link}"


def test_the_site_loads_nothing_from_another_server(pages: dict[Path, Addresses]) -> None:
    assert [
        (path.name, address)
        for path, page in pages.items()
        for address in page.loaded
        if re.match(r"([a-z]+:)?//", address)
    ] == []


def test_every_diagram_is_a_diagram_of_the_site(site: Path) -> None:
    written = len(blocks("mermaid"))
    shown = sum(path.read_text().count('<pre class="mermaid">') for path in site.rglob("*.html"))

    assert shown == written > 5


@pytest.mark.parametrize(
    ("url", "address"),
    [("architecture.html", "assets"), ("adr/0001-two-slots.html", "../assets")],
)
def test_a_page_with_a_diagram_loads_the_sites_own_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, address: str
) -> None:
    script = tmp_path / "mermaid.min.js"
    script.touch()
    hook = HOOKS["on_post_page"]
    monkeypatch.setitem(hook.__globals__, "MERMAID", script)
    page = SimpleNamespace(url=url)

    head = hook('<head></head><body><pre class="mermaid"></pre>', page).partition("<body>")[0]

    assert f'<script src="{address}/mermaid.min.js"></script>' in head
    assert "<script" not in hook("<head></head><body></body>", page)


def test_links_are_turned_as_the_site_has_them() -> None:
    rewritten = HOOKS["rewritten"]
    readme = (
        "[a](docs/why.md) [b](LICENSE) [c](#d) [e](https://example.com)\n```\n[f](LICENSE)\n```\n"
    )

    assert rewritten(readme, ROOT / "README.md") == (
        "[a](why.md) [b](repository/LICENSE.txt) [c](#d) [e](https://example.com)\n"
        "```\n[f](LICENSE)\n```\n"
    )
    assert rewritten("[a](../../README.md#not-yet)", DOCS / "adr" / "README.md") == (
        "[a](../index.md#not-yet)"
    )


@pytest.mark.parametrize("right", [True, False])
def test_only_the_pinned_script_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], right: bool
) -> None:
    fetch = runpy.run_path(str(ROOT / "docs" / "fetch_mermaid.py"))
    known = fetch["main"].__globals__
    target, script = tmp_path / "mermaid" / "mermaid.min.js", b"drawing"
    monkeypatch.setitem(known, "TARGET", target)
    monkeypatch.setitem(known, "packed", lambda folder: script if right else b"another")
    monkeypatch.setitem(known, "SHA256", hashlib.sha256(script).hexdigest())

    assert known["main"]() == int(not right)
    assert target.exists() == right
    assert ("its SHA-256 is" in capsys.readouterr().err) != right
