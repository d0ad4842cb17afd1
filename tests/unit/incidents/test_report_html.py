"""The page as a browser gets it: well-formed, asks nothing of anybody, readable by everybody."""

import re
from html.parser import HTMLParser

import pytest

from greenlane.incidents.report_compose import compose
from greenlane.incidents.report_html import render_html
from tests.unit.incidents.cases import CASES, by_alarm

VOID = {"meta", "br", "hr", "img", "input", "link"}
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


class Page(HTMLParser):
    """Every element in order, with its attributes and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.elements, self.problems = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append({"tag": tag, "attrs": dict(attrs), "text": "", "within": self.open[:]})
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append({"tag": tag, "attrs": dict(attrs), "text": "", "within": self.open[:]})

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.problems.append(f"</{tag}> closes {self.open[-1:]}")
            return
        self.open.pop()

    def handle_data(self, data):
        for element in reversed(self.elements):
            if self.open and element["tag"] == self.open[-1]:
                element["text"] += data
                return

    def all(self, tag):
        return [element for element in self.elements if element["tag"] == tag]

    def text(self):
        return " ".join(
            element["text"] for element in self.elements if element["tag"] not in ("style", "title")
        )


@pytest.fixture(params=CASES)
def page(request):
    return Page(render_html(compose(CASES[request.param]())))


def test_every_element_is_closed_where_it_should_be(page):
    assert (page.problems, page.open) == ([], [])


def test_the_page_asks_nothing_of_the_network(page):
    for element in page.elements:
        assert element["tag"] not in ("script", "img", "link", "iframe", "object", "use", "a")
        assert not {"src", "href", "xlink:href", "srcset", "style"} & set(element["attrs"])
        assert not [name for name in element["attrs"] if name.startswith("on")]
    (style,) = page.all("style")
    assert "url(" not in style["text"]
    assert "@import" not in style["text"]
    policies = [
        element["attrs"]["content"]
        for element in page.all("meta")
        if element["attrs"].get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies[0].startswith("default-src 'none'; style-src 'unsafe-inline'")


def test_every_chart_has_a_title_a_description_and_units(page):
    charts = [svg for svg in page.all("svg") if svg["attrs"].get("role") == "img"]
    ids = {e["attrs"]["id"]: e["text"] for e in page.elements if "id" in e["attrs"]}
    for chart in charts:
        title, description = chart["attrs"]["aria-labelledby"].split()
        assert ids[title].split(", ")[-1] in ("percent", "per minute", "ms")
        assert "tables of this page" in ids[description]
    for other in page.all("svg"):
        assert other in charts or other["attrs"]["aria-hidden"] == "true"


def test_ids_are_unique(page):
    ids = [element["attrs"]["id"] for element in page.elements if "id" in element["attrs"]]
    assert len(ids) == len(set(ids))


def test_tables_have_heads_for_every_column(page):
    assert page.all("table")
    for head in page.all("th"):
        assert head["attrs"]["scope"] == "col"


def test_the_first_screen_answers_the_questions_before_anything_else():
    text = render_html(compose(by_alarm()))
    first = text[: text.index("<h2")]
    for said in (
        "1.4.2 was rolled back",
        "1.4.1, all of it",
        "about 133 requests",
        "12:01:53 to 12:10:04",
        "12.53, above the limit of 5",
        "What to do next",
    ):
        assert said in first


def test_the_versions_differ_in_more_than_colour():
    text = render_html(compose(by_alarm()))
    assert re.search(r'class="line old blue"', text)
    assert re.search(r'class="line new green"', text)
    assert ".line.old { stroke-dasharray" in text
    assert '<circle class="mark blue"' in text
    assert '<rect class="mark green"' in text


def test_what_people_wrote_is_text_wherever_it_stands():
    evidence = by_alarm()
    trigger = evidence.record.trigger.model_copy(update={"name": EVIL, "reason": EVIL})
    request = evidence.plan.request.model_copy(update={"requested_by": EVIL, "version": EVIL})
    lines = [e.model_copy(update={"actor": EVIL, "kind": EVIL}) for e in evidence.history[:2]]
    line = evidence.logs.candidate[0].model_copy(update={"message": f"error {EVIL}"})
    logs = evidence.logs.model_copy(update={"candidate": (line,)})
    evil = evidence.model_copy(
        update={
            "record": evidence.record.model_copy(update={"trigger": trigger, "reason": EVIL}),
            "plan": evidence.plan.model_copy(update={"request": request}),
            "history": (*lines, *evidence.history[2:]),
            "logs": logs,
            "version_before": EVIL,
            "alarm": evidence.alarm.model_copy(update={"metric": EVIL}),
        }
    )
    page = Page(render_html(compose(evil)))
    assert (page.problems, page.open) == ([], [])
    assert page.all("script") + page.all("img") == []
    assert "<script>alert(1)</script>" in page.text()


def test_changes_of_weight_and_the_way_back_are_marked():
    text = render_html(compose(by_alarm()))
    labels = re.findall(r'<text class="event [^>]*>([^<]+)</text>', text)
    assert labels[:3] == ["10 %", "50 %", "back"]
