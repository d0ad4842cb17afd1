"""What MkDocs does not know of this repository: pages outside docs/, decisions, diagrams.

The same pages are read on GitHub, so links are written as they work there, and turned here.
"""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
MERMAID = ROOT / "build" / "mermaid" / "mermaid.min.js"
MERMAID_ADDRESS = "assets/mermaid.min.js"
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""Pages of the repository's root, and what they are on the site."""

DECISIONS = "adr/"
_LINK = re.compile(r'(\]\(|<img [^>]*src=")([^)"\s]+)(?=[)"])')
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put every decision where the navigation says `adr/`."""
    config.nav = with_decisions(config.nav)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the root's pages, the files that pages link to, and the script for diagrams."""
    texts = {path: path.read_text() for path in DOCS.rglob("*.md")}
    for name, page in PAGES.items():
        text = (ROOT / name).read_text()
        texts[ROOT / name] = text
        files.append(File.generated(config, page, content=rewritten(text, ROOT / name)))
    for target in sorted({found for path, text in texts.items() for found in shown(text, path)}):
        files.append(File.generated(config, _address(target), content=target.read_bytes()))
    if MERMAID.exists():
        files.append(File.generated(config, MERMAID_ADDRESS, abs_src_path=str(MERMAID)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links that leave docs/; those of generated pages are turned already."""
    path = DOCS / page.file.src_uri
    return rewritten(markdown, path) if path.exists() else markdown


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Load the script before the theme's own, which then asks no other server for it."""
    if 'class="mermaid"' not in output or not MERMAID.exists():
        return output
    source = get_relative_url(MERMAID_ADDRESS, page.url)
    # The theme draws; the script would begin by itself too, in other colours.
    scripts = f'<script src="{source}"></script><script>mermaid.startOnLoad = false</script>'
    return output.replace("</head>", f"{scripts}</head>", 1)


def with_decisions(nav: Any) -> Any:
    """A navigation in which `adr/` is replaced by the list of decisions."""
    if isinstance(nav, list):
        return [with_decisions(item) for item in nav]
    if isinstance(nav, dict):
        return {title: with_decisions(item) for title, item in nav.items()}
    if nav == DECISIONS:
        numbered = sorted((DOCS / DECISIONS).glob("[0-9]*.md"))
        return [f"{DECISIONS}README.md", *(f"{DECISIONS}{path.name}" for path in numbered)]
    return nav


def rewritten(text: str, path: Path) -> str:
    """A page's text with links as the site has them."""

    def turn(match: re.Match[str]) -> str:
        link, hash_, anchor = match[2].partition("#")
        target = _target(link, path)
        if target is None:
            return match[0]
        place = (DOCS / PAGES.get(path.name, "") if path.parent == ROOT else path).parent
        return f"{match[1]}{os.path.relpath(DOCS / _address(target), place)}{hash_}{anchor}"

    parts = _FENCE.split(text)
    fences = [*_FENCE.findall(text), ""]
    return "".join(_LINK.sub(turn, part) + fence for part, fence in zip(parts, fences, strict=True))


def shown(text: str, path: Path) -> set[Path]:
    """The files outside docs/ that a page links to and that are no pages."""
    targets = {_target(match[2].partition("#")[0], path) for match in _LINK.finditer(text)}
    pages = {ROOT / name for name in PAGES}
    return {
        target
        for target in targets - pages
        if target is not None and not target.is_relative_to(DOCS)
    }


def _target(link: str, path: Path) -> Path | None:
    """The file that a link means; None for one within the page or to elsewhere."""
    if not link or re.match(r"[a-z]+:", link):
        return None
    target = (path.parent / link).resolve()
    return target if target.is_file() and target.is_relative_to(ROOT) else None


def _address(target: Path) -> str:
    """Where a file of the repository is on the site."""
    if target.is_relative_to(DOCS):
        return target.relative_to(DOCS).as_posix()
    inside = target.relative_to(ROOT).as_posix()
    # Sources are shown as text: MkDocs would make a page of one, and a browser would save another.
    ending = "" if target.suffix == ".html" else ".txt"
    return PAGES.get(inside, f"repository/{inside}{ending}")
