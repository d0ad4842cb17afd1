"""What scipy and statsmodels say, as data: the tests of `greenlane.experiments` read it.

Both take 400 MB, so they are no dependency, not even of the tests. In an environment of its own:

    pip install scipy==1.17.1 statsmodels==0.15.0
    python benchmarks/experiment_oracles.py > tests/data/experiments/oracles.json
"""

import importlib
import json
from typing import Any

# By name, for the types of these are nowhere where this repository is checked.
np: Any = importlib.import_module("numpy")
scipy: Any = importlib.import_module("scipy")
statsmodels: Any = importlib.import_module("statsmodels")
special: Any = importlib.import_module("scipy.special")
stats: Any = importlib.import_module("scipy.stats")
multitest: Any = importlib.import_module("statsmodels.stats.multitest")
proportion: Any = importlib.import_module("statsmodels.stats.proportion")
weightstats: Any = importlib.import_module("statsmodels.stats.weightstats")

TAILS = (0.4, 0.025, 1e-6, 1e-30, 1e-199)
PROPORTIONS = (
    (50, 1000, 65, 1000),
    (56, 70, 48, 80),
    (9, 20, 3, 20),
    (100, 1000, 130, 1000),
    (1, 5000, 9, 5000),
    (100_000, 10**6, 109_000, 10**6),
    (300, 400, 1200, 1500),
)
SAMPLES = (
    (10.0, 2.0, 50, 10.9, 3.0, 40),
    (1e9, 0.8, 3000, 1e9 + 0.05, 0.9, 2800),
    (25.0, 80.0, 10**6, 25.5, 81.0, 10**6),
    (5.0, 1.0, 8, 9.0, 0.1, 5),
    (100.0, 5.0, 40_000, 101.1, 5.0, 40_000),
)
TABLES = ((3, 20, 9, 20), (0, 50, 5, 50), (1, 900, 8, 950), (490, 500, 499, 500))
COUNTS = ((12, 1000.0, 30, 1100.0), (0, 500.0, 6, 500.0), (4000, 1e6, 4300, 1e6))


def distributions() -> dict[str, Any]:
    """Tails of the distributions, both sides."""
    degrees = (1, 2.5, 10, 100, 999.5, 9_999, 10_001, 1e5, 1e7)
    betas = (
        (1, 1, 0.3),
        (0.5, 0.5, 0.01),
        (5, 300, 0.05),
        (1e4, 1e5, 0.08),
        (1e4, 1e5, 0.1),
        (1e6, 1e6, 0.501),
        (3e4, 0.5, 0.999),
        (1e8, 1e8, 0.5001),
        (2, 4e5, 1e-3),
    )
    gammas = ((0.5, 0.1), (0.5, 455), (1, 1), (10, 3), (100, 300), (1e4, 1.02e4), (1e6, 9.9e5))
    return {
        "normal_sf": [[z, stats.norm.sf(z)] for z in (-5.0, 0.1, 1.96, 8.0, 14.3, 30.2)],
        "normal_isf": [[q, stats.norm.isf(q)] for q in TAILS],
        "t_sf": [[t, d, special.stdtr(d, -t)] for d in degrees for t in (0.1, 1, 2, 5, 12, 25)],
        "t_isf": [[q, d, stats.t.isf(q, d)] for d in (1, 3, 30, 500.5, 2e4) for q in TAILS[:3]],
        "beta": [
            [a, b, x, special.betainc(a, b, x), special.betaincc(a, b, x)] for a, b, x in betas
        ],
        "beta_isf": [
            [q, a, b, stats.beta.isf(q, a, b), stats.beta.ppf(q, a, b)]
            for a, b, _ in betas[:5]
            for q in (0.3, 0.025, 1e-6)
        ],
        "gamma": [[a, x, special.gammainc(a, x), special.gammaincc(a, x)] for a, x in gammas],
        "chi_square_sf": [[x, d, stats.chi2.sf(x, d)] for x, d in ((3.9, 1), (40, 3), (900, 2))],
    }


def samples() -> list[Any]:
    """Welch's test and its interval, and the interval of the difference at 95 percent."""
    found = []
    for mc, sc, nc, mt, st, nt in SAMPLES:
        test = stats.ttest_ind_from_stats(mt, st, nt, mc, sc, nc, equal_var=False)
        one, two = sc**2 / nc, st**2 / nt
        degrees = (one + two) ** 2 / (one**2 / (nc - 1) + two**2 / (nt - 1))
        half = stats.t.isf(0.025, degrees) * np.sqrt(one + two)
        row = [test.statistic, test.pvalue, mt - mc - half, mt - mc + half]
        found.append([[mc, sc, nc, mt, st, nt], row])
    return found


def raw() -> dict[str, Any]:
    """One sample of users, with what statsmodels makes of the raw rows."""
    rng = np.random.default_rng(7)
    before = rng.gamma(2, 10, 400).round(2)
    control = (before[:200] * 0.8 + rng.normal(3, 4, 200)).round(2)
    treatment = (before[200:] * 0.8 + rng.normal(4.2, 4, 200)).round(2)
    means = weightstats.CompareMeans.from_data(treatment, control)
    t, p, degrees = means.ttest_ind(usevar="unequal")
    return {
        "before": before.tolist(),
        "control": control.tolist(),
        "treatment": treatment.tolist(),
        "welch": [t, p, degrees, *means.tconfint_diff(usevar="unequal")],
    }


def main() -> None:
    """Print everything as JSON."""
    scores = []
    for xc, nc, xt, nt in PROPORTIONS:
        z, p = proportion.proportions_ztest([xt, xc], [nt, nc])
        ratio = proportion.confint_proportions_2indep(
            xt, nt, xc, nc, compare="ratio", method="score", correction=False
        )
        scores.append([[xc, nc, xt, nt], [z, p, *ratio]])
    exact = []
    for xc, nc, xt, nt in TABLES:
        law = stats.hypergeom(nc + nt, xc + xt, nt)
        one, two = law.cdf(xt), law.sf(xt - 1)
        exact.append([[xc, nc, xt, nt], min(1.0, 2 * min(one, two))])
    counts = []
    for xc, ec, xt, et in COUNTS:
        share = et / (ec + et)
        low, high = proportion.proportion_confint(xt, xc + xt, 0.05, "beta")
        both = [stats.binomtest(xt, xc + xt, share, way).pvalue for way in ("less", "greater")]
        ends = [end / (1 - end) * ec / et if end < 1 else None for end in (low, high)]
        counts.append([[xc, ec, xt, et], [min(1.0, 2 * min(both)), *ends]])
    ps = [0.001, 0.011, 0.02, 0.04, 0.3, 0.9]
    adjusted = {
        way: multitest.multipletests(ps, 0.05, way)[1].tolist() for way in ("holm", "fdr_bh")
    }
    found = {
        "by": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__},
        **distributions(),
        "score": scores,
        "fisher": exact,
        "welch": samples(),
        "raw": raw(),
        "count": counts,
        "adjusted": {"p": ps, **adjusted},
        "chi_square": [[5000, 5200], float(stats.chisquare([5000, 5200]).pvalue)],
    }
    print(json.dumps(found, default=float, separators=(",", ":")))


if __name__ == "__main__":
    main()
