import re

import pytest

from greenlane.incidents.report_compose import compose
from greenlane.incidents.report_markdown import plain, render_markdown
from tests.unit.incidents.cases import CASES, by_alarm


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<b>", "&lt;b&gt;"),
        ("`rm -rf`", r"\`rm -rf\`"),
        ("[x](http://y)", r"\[x\](http&#58;//y)"),
        ("two\nlines\x1b[0m", r"two lines \[0m"),
        ("# no head", r"\# no head"),
        ("back\u202eward", "back ward"),
    ],
)
def test_what_people_wrote_is_shown_as_it_is(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize("case", CASES)
def test_every_table_has_as_many_cells_in_each_row(case):
    widths = None
    for line in render_markdown(compose(CASES[case]())).splitlines():
        if not line.startswith("|"):
            widths = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert widths in (None, cells), line
        widths = cells


def test_a_command_stands_in_a_code_span():
    text = render_markdown(compose(by_alarm()))
    assert "`greenlane deploy claude-manager --version VERSION --watch`" in text
