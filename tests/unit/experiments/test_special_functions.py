import mpmath  # type: ignore[import-untyped]
import pytest

from greenlane.experiments.statistics import special
from tests.unit.experiments.experimenting import ORACLES

CLOSE = 1e-9


@pytest.mark.parametrize("name", ["normal_sf", "normal_isf", "t_sf", "t_isf", "chi_square_sf"])
def test_tails_agree_with_scipy_far_out_too(name: str) -> None:
    for *arguments, value in ORACLES[name]:
        assert getattr(special, name)(*arguments) == pytest.approx(value, rel=CLOSE), arguments


def test_beta_tails_agree_with_scipy_on_both_sides() -> None:
    for a, b, x, lower, upper in ORACLES["beta"]:
        assert special.beta_tails(a, b, x, 1 - x) == pytest.approx((lower, upper), rel=CLOSE)


def test_gamma_tails_agree_with_scipy_on_both_sides() -> None:
    for a, x, lower, upper in ORACLES["gamma"]:
        assert special.gamma_tails(a, x) == pytest.approx((lower, upper), rel=CLOSE)


def test_beta_quantiles_agree_with_scipy() -> None:
    for tail, a, b, above, below in ORACLES["beta_isf"]:
        assert special.beta_isf(tail, a, b, upper=True) == pytest.approx(above, rel=CLOSE)
        assert special.beta_isf(tail, a, b, upper=False) == pytest.approx(below, rel=CLOSE)


@pytest.mark.parametrize("p_value", [1e-199, 1e-300])
def test_a_p_value_that_small_is_not_zero(p_value: float) -> None:
    z = special.normal_isf(p_value / 2)

    assert special.two_sided(z) == pytest.approx(p_value, rel=1e-9)
    with mpmath.workdps(40):
        t = special.t_isf(p_value, 300.0)
        x = mpmath.mpf(300) / (300 + mpmath.mpf(t) ** 2)
        tail = mpmath.betainc(150, mpmath.mpf("0.5"), 0, x, regularized=True) / 2
    assert float(tail / mpmath.mpf(p_value)) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("t", [0.5, 2.0, 10.0, 25.0])
def test_hills_transformation_meets_the_continued_fraction(t: float) -> None:
    below = special.LARGE_DEGREES - 1e-6
    straight, hill = (special.t_sf(t, degrees) for degrees in (below, special.LARGE_DEGREES))

    assert hill == pytest.approx(straight, rel=2e-7)


def test_the_ends_are_the_ends() -> None:
    assert special.beta_tails(2, 3, 0.0, 1.0) == (0.0, 1.0)
    assert special.beta_tails(2, 3, 1.0, 0.0) == (1.0, 0.0)
    assert special.gamma_tails(2, 0.0) == (0.0, 1.0)
    assert special.gamma_tails(2, float("inf")) == (1.0, 0.0)
    assert special.normal_isf(0.0) == float("inf")
    assert special.normal_isf(1.0) == float("-inf")
    assert special.t_isf(0.0, 5) == float("inf")
    assert special.t_sf(-1.0, 5) == pytest.approx(1 - special.t_sf(1.0, 5))
    assert special.log_binomial(0, 10, 0.1, 0.9) == pytest.approx(10 * -0.10536051565782628)


def test_gauss_and_legendre_integrate_polynomials_exactly() -> None:
    for count in (2, 48, 96):
        nodes = special.legendre(count)
        assert sum(weight for _, weight in nodes) == pytest.approx(2, rel=1e-13)
        assert sum(weight * x**2 for x, weight in nodes) == pytest.approx(2 / 3, rel=1e-13)


def test_a_root_is_found_or_the_closer_end_is_given() -> None:
    assert special.root(lambda x: x**3 - 2, 0.0, 5.0) == pytest.approx(2 ** (1 / 3), rel=1e-14)
    assert special.root(lambda x: x + 1, 0.0, 5.0) == 0.0
    assert special.root(lambda x: x - 9, 0.0, 5.0) == 5.0
