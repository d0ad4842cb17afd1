import inspect
import os
import re
import runpy
from collections.abc import Mapping
from pathlib import Path

from greenlane.deployments.client import Greenlane
from greenlane.http.all_routes import ROUTES
from tests.docs.pages import ROOT, blocks

API = runpy.run_path(str(ROOT / "docs" / "generate_api.py"))


def test_the_page_about_the_python_api_is_fresh() -> None:
    assert API["PYTHON_PAGE"].read_text() == API["python_page"](), "run python docs/generate_api.py"


def test_the_page_about_the_http_api_is_fresh() -> None:
    assert API["HTTP_PAGE"].read_text() == API["http_page"](), "run python docs/generate_api.py"


def test_every_route_is_on_the_page() -> None:
    headings = re.findall(r"^## ([A-Z]+ /\S+)$", API["HTTP_PAGE"].read_text(), re.MULTILINE)

    assert sorted(headings) == sorted(f"{route.method} {route.written}" for route in ROUTES)


def test_every_public_method_is_on_the_page() -> None:
    shown = set(re.findall(r"^### Greenlane\.(\w+)$", API["PYTHON_PAGE"].read_text(), re.MULTILINE))
    offered = {
        name
        for name, member in inspect.getmembers(Greenlane)
        if not name.startswith("_") and (callable(member) or isinstance(member, property))
    }

    assert offered <= shown


def test_classes_of_the_other_pages_are_on_the_page_too() -> None:
    """What is shown in use is public."""
    public = {name for names in API["PUBLIC"].values() for name in names}
    for block in blocks("python"):
        for name in re.findall(r"import .*?\b(\w+(?:Manager|Deployment))\b", block.text):
            assert name in public, f"{block.id}: {name}"


def test_signatures_say_what_is_given_by_name_only() -> None:
    def asked(first: str, *, second: int = 2) -> bool:
        return bool(second)

    assert API["_signature"](asked) == "asked(first: str, *, second: int = 2) -> bool"


def test_no_value_of_this_machine_gets_into_a_signature() -> None:
    def asked(environ: Mapping[str, str] = os.environ, path: Path = ROOT, count: int = 2) -> None:
        raise NotImplementedError

    said = "asked(environ: Mapping[str, str] = ..., path: Path = ..., count: int = 2) -> None"
    assert API["_signature"](asked) == said
