from hypothesis import given
from hypothesis import strategies as st

from greenlane.local.gateway_routing import find, tree

ROOT = tree(
    [
        ("/", {"GET": "root"}),
        ("/flags", {"GET": "list"}),
        ("/flags/{key}", {"GET": "one", "PUT": "put"}),
        ("/flags/audit", {"GET": "audit"}),
        ("/flags/{key}/audit", {"GET": "audit of one"}),
        ("/files/{path+}", {"POST": "rest"}),
        ("/files/readme", {"GET": "readme"}),
        ("/any", {"ANY": "any"}),
        ("/any/{only}/below", {"GET": "below"}),
    ]
)


def means(path: str, method: str = "GET") -> tuple[str, dict[str, str]] | None:
    found = find(ROOT, path, method)
    if found is None:
        return None
    return found.node.methods.get(method) or found.node.methods["ANY"], dict(found.parameters)


def test_a_literal_segment_comes_before_a_parameter() -> None:
    assert means("/flags/audit") == ("audit", {})
    assert means("/flags/other") == ("one", {"key": "other"})
    assert means("/flags/audit/audit") == ("audit of one", {"key": "audit"})


def test_where_the_literal_has_no_such_method_the_parameter_has_its_turn() -> None:
    assert means("/flags/audit", "PUT") == ("put", {"key": "audit"})


def test_a_greedy_parameter_takes_all_that_follow_and_at_least_one() -> None:
    assert means("/files/a/b/c", "POST") == ("rest", {"path": "a/b/c"})
    assert means("/files/readme", "POST") == ("rest", {"path": "readme"})
    assert means("/files", "POST") is None


def test_paths_stay_as_they_were_sent() -> None:
    assert means("/flags/a%2Fb") == ("one", {"key": "a%2Fb"})


def test_any_answers_every_method_and_the_root_is_a_resource() -> None:
    assert means("/any", "DELETE") == ("any", {})
    assert means("/") == ("root", {})


def test_a_slash_at_the_end_counts_for_nothing_and_the_rest_is_nowhere() -> None:
    assert means("/flags/") == ("list", {})
    assert means("/nothing") is None
    assert means("/flags", "POST") is None
    assert means("/any/x") is None


@given(st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=6))
def test_whatever_follows_a_greedy_parameter_is_found_whole(parts: list[str]) -> None:
    path = "/".join(parts)

    assert means(f"/files/{path}", "POST") == ("rest", {"path": path})
