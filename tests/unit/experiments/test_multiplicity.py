import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenlane.experiments.statistics.multiplicity import benjamini_hochberg, bonferroni, holm
from greenlane.experiments.statistics.special import two_sided
from tests.unit.experiments.experimenting import ORACLES

FAMILIES = (bonferroni, holm, benjamini_hochberg)
chances = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@pytest.mark.parametrize(("family", "name"), [(holm, "holm"), (benjamini_hochberg, "fdr_bh")])
def test_adjusted_p_values_are_those_of_statsmodels(family: object, name: str) -> None:
    judged = family(ORACLES["adjusted"]["p"], 0.05)  # type: ignore[operator]

    assert [one.adjusted_p for one in judged] == pytest.approx(ORACLES["adjusted"][name], rel=1e-9)


@given(chances, st.sampled_from([0.05, 0.2]))
def test_significant_is_what_the_matching_interval_says(
    p_values: list[float], level: float
) -> None:
    for family in FAMILIES:
        for p_value, one in zip(p_values, family(p_values, level), strict=True):
            # An interval of `level` leaves 0 out exactly when the p-value is at most that.
            assert one.significant == (p_value <= one.level)
            if abs(one.adjusted_p - level) > 1e-9:
                assert one.significant == (one.adjusted_p <= level)


@given(chances)
def test_holm_finds_at_least_what_bonferroni_finds(p_values: list[float]) -> None:
    for plain, step in zip(bonferroni(p_values, 0.05), holm(p_values, 0.05), strict=True):
        assert step.significant >= plain.significant


def test_the_critical_value_goes_with_the_level() -> None:
    (one,) = bonferroni([0.03], 0.05)

    assert two_sided(one.critical) == pytest.approx(0.05, rel=1e-12)
    assert bonferroni([], 0.05) == holm([], 0.05) == benjamini_hochberg([], 0.05) == []
