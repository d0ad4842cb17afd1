import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from greenlane.errors import InvalidInput
from greenlane.regions.declaring.document import read_regions
from greenlane.regions.declaring.model import RegionsDocument
from greenlane.regions.planning.comparing import compare
from greenlane.regions.planning.model import Override, Plan
from greenlane.regions.planning.planner import outdated, plan_regions
from greenlane.regions.windows.zones import IANA_VERSION
from tests.unit.regions.random_regions import broken

SPEC = read_regions(Path("tests/data/spec/multi-region-config.yaml").read_text())
MONDAY = datetime(2026, 11, 30, 14, tzinfo=UTC)

EIGHT = {
    "us-east-1": (30, "America/New_York"),
    "us-west-2": (15, "America/Los_Angeles"),
    "eu-west-1": (15, "Europe/Dublin"),
    "eu-central-1": (12, "Europe/Berlin"),
    "ap-southeast-1": (10, "Asia/Singapore"),
    "ap-northeast-1": (8, "Asia/Tokyo"),
    "ap-south-1": (6, "Asia/Kolkata"),
    "sa-east-1": (4, "America/Sao_Paulo"),
}
UNBOUND = {"first_traffic": 100, "max_traffic": 100}


def document(regions, freezes=(), **strategy):
    return RegionsDocument.model_validate(
        {"regions": regions, "deployment_strategy": strategy, "freezes": freezes}
    )


def eight(**strategy):
    regions = {
        name: {"traffic_percentage": share, "deployment_window": f"02:00-04:00 {zone}"}
        for name, (share, zone) in EIGHT.items()
    }
    return document(regions, **strategy)


def plain(shares, **more):
    """Regions without windows, by their percent."""
    names = [f"eu-west-{number}" for number in range(1, len(shares) + 1)]
    regions = {
        name: {"traffic_percentage": share} for name, share in zip(names, shares, strict=True)
    }
    for name, values in more.pop("regions", {}).items():
        regions[name] |= values
    return document(regions, **more)


def order(document, **options):
    return plan_regions(document, now=MONDAY, **options).order


class TestTheSpecificationsFile:
    plan = plan_regions(SPEC, now=MONDAY)

    def test_goes_from_low_to_high_and_follows_the_night(self):
        assert self.plan.order == (
            ("ap-southeast-1",),
            ("eu-west-1",),
            ("us-west-2",),
            ("us-east-1",),
        )

    def test_says_when_in_utc_and_in_local_time(self):
        starts = [
            (f"{wave.starts_at:%a %H:%M}", wave.regions[0].starts_local) for wave in self.plan.waves
        ]

        assert starts == [
            ("Mon 18:00", "2026-12-01T02:00:00+08:00"),
            ("Tue 01:00", "2026-12-01T02:00:00+01:00"),
            ("Tue 10:00", "2026-12-01T02:00:00-08:00"),
            ("Wed 07:00", "2026-12-02T02:00:00-05:00"),
        ]

    def test_says_how_long_it_waits_and_for_what(self):
        first = self.plan.waves[0]

        assert (first.wait_seconds, first.wait_for) == (
            4 * 3600,
            "ap-southeast-1: outside of its window",
        )
        assert self.plan.total_seconds == (41 * 60 + 55) * 60
        assert self.plan.ends_at == datetime(2026, 12, 2, 7, 55, tzinfo=UTC)

    def test_says_why_each_region_has_its_place(self):
        reasons = {region.region: region.why for wave in self.plan.waves for region in wave.regions}

        assert reasons["ap-southeast-1"] == ("priority low",)
        assert reasons["eu-west-1"] == ("priority medium", "can start before us-west-2")
        assert reasons["us-west-2"][1].startswith("not with eu-west-1: that wave has one region")
        assert reasons["us-east-1"] == ("primary: after all others",)

    def test_records_the_zones_it_was_made_with_and_what_it_assumed(self):
        assert self.plan.tzdata == IANA_VERSION
        assert len(self.plan.assumptions) == 4
        assert outdated(self.plan) is None
        older = self.plan.model_copy(update={"tzdata": "2020a"})
        assert (outdated(older) or "").startswith("made with the time zones of 2020a")

    def test_the_order_of_the_specifications_code_is_reached_by_numbers(self):
        regions = SPEC.model_dump()["regions"]
        for name, number in {"us-west-2": 1, "eu-west-1": 2, "ap-southeast-1": 3}.items():
            regions[name]["priority"] = number

        assert order(document(regions)) == (
            ("us-west-2",),
            ("eu-west-1",),
            ("ap-southeast-1",),
            ("us-east-1",),
        )


class TestEightNights:
    """The example of windows that decide: eight Regions, each open from two to four at night."""

    @pytest.mark.parametrize(
        ("now", "total"),
        [
            (MONDAY, timedelta(hours=41, minutes=55)),
            (MONDAY.replace(hour=8), timedelta(hours=23, minutes=55)),
        ],
    )
    def test_the_primary_last_takes_a_second_night(self, now, total):
        plan = plan_regions(eight(type="canary", waves=UNBOUND), now=now)

        assert timedelta(seconds=plan.total_seconds) == total
        assert plan.order[-1] == ("us-east-1",)

    def test_what_the_primary_costs_is_said_and_what_the_windows_cost(self):
        declared = eight(type="canary", waves=UNBOUND)
        costs = compare(declared, plan_regions(declared, now=MONDAY)).costs

        assert [(cost.constraint, cost.saved_seconds) for cost in costs] == [
            ("windows", 38 * 3600),
            ("primary_last", 21 * 3600),
            ("order", 21 * 3600),
        ]

    def test_another_start_is_named_that_takes_less(self):
        declared = eight(type="canary", waves=UNBOUND)
        start = compare(declared, plan_regions(declared, now=MONDAY)).start

        # Los Angeles is still open then, and is done before the others' night.
        assert start.at == datetime(2026, 12, 1, 11, tzinfo=UTC)
        assert start.saved_seconds == 21 * 3600
        assert plan_regions(declared, now=start.at).total_seconds == start.total_seconds

    def test_without_windows_one_by_one_takes_what_the_sum_says(self):
        override = Override(what="windows", reason="a hole in the door", by="jo")
        plan = plan_regions(eight(), now=MONDAY, overrides=[override])

        assert timedelta(seconds=plan.total_seconds) == timedelta(hours=7, minutes=55)
        assert plan.overrides == (override,)

    def test_three_policies_are_compared(self):
        declared = eight(type="canary")
        plan = plan_regions(declared, now=MONDAY)
        safe, balanced, fast = compare(declared, plan).what_ifs

        assert [one.policy for one in (safe, balanced, fast)] == ["safe", "balanced", "fast"]
        assert fast.total_seconds < balanced.total_seconds < safe.total_seconds
        assert fast.risk.user_minutes > balanced.risk.user_minutes > safe.risk.user_minutes
        assert balanced.total_seconds == plan.total_seconds
        for policy in ("safe", "fast"):
            alone = plan_regions(declared, now=MONDAY, policy=policy)
            (told,) = [one for one in (safe, fast) if one.policy == policy]
            assert (alone.total_seconds, alone.risk) == (told.total_seconds, told.risk)


class TestTheOrder:
    def test_without_anything_else_the_smallest_goes_first_then_the_name(self):
        assert order(plain([10, 30, 30, 30])) == (
            ("eu-west-1",),
            ("eu-west-2",),
            ("eu-west-3",),
            ("eu-west-4",),
        )

    def test_stages_follow_each_other_and_the_primary_is_last(self):
        declared = document(
            {
                "us-east-1": {"traffic_percentage": 20, "primary": True, "priority": "low"},
                "eu-west-1": {"traffic_percentage": 80, "priority": "high"},
                "eu-west-2": {"stage": "staging"},
                "eu-west-3": {"stage": "development", "priority": "high"},
            }
        )
        assert order(declared) == (("eu-west-3",), ("eu-west-2",), ("eu-west-1",), ("us-east-1",))

    def test_a_primary_after_confidence_goes_by_its_priority_from_the_third_wave_on(self):
        declared = plain(
            [10, 20, 30, 40],
            regions={"eu-west-1": {"primary": True, "priority": 5}},
            primary_position="after_confidence",
        )
        # Alone in its level, it has nobody to wait for.
        assert order(declared)[0] == ("eu-west-1",)
        level = declared.model_dump()
        level["regions"]["eu-west-1"]["priority"] = 20
        assert order(RegionsDocument.model_validate(level)) == (
            ("eu-west-2",),
            ("eu-west-3",),
            ("eu-west-1",),
            ("eu-west-4",),
        )

    def test_waves_grow(self):
        declared = plain([1] * 15 + [85], type="canary")

        assert [len(wave) for wave in order(declared)] == [1, 2, 4, 8, 1]

    def test_a_region_over_the_budget_goes_alone_once_nobody_fits_and_takes_small_steps(self):
        plan = plan_regions(plain([2, 3, 45, 50], type="canary"), now=MONDAY)

        assert plan.order == (("eu-west-1",), ("eu-west-2",), ("eu-west-3",), ("eu-west-4",))
        small = {
            region.region: region.small_steps for wave in plan.waves for region in wave.regions
        }
        assert small == {
            "eu-west-1": False,
            "eu-west-2": False,
            "eu-west-3": True,
            "eu-west-4": True,
        }
        assert "small enough for a budget of 5 %, unlike eu-west-3" in plan.waves[0].regions[0].why

    def test_failover_pairs_are_in_different_waves(self):
        declared = plain(
            [1, 1, 1, 1, 96],
            regions={"eu-west-1": {"failover_regions": ["eu-west-2"]}},
            type="canary",
            waves={"first_regions": 4, "first_traffic": 50},
        )
        first, second, _ = plan_regions(declared, now=MONDAY).waves

        assert [region.region for region in first.regions] == ["eu-west-1"]
        assert [region.region for region in second.regions] == [
            "eu-west-2",
            "eu-west-3",
            "eu-west-4",
        ]
        why = {region.region: region.why for region in second.regions}
        assert any(
            reason.startswith("not with eu-west-1: one takes over") for reason in why["eu-west-2"]
        )
        assert "apart from eu-west-1: the plan is no longer for it" in why["eu-west-3"]

    def test_regions_that_one_could_not_carry_together_are_in_different_waves(self):
        regions = {
            "eu-west-1": {"failover_regions": ["eu-west-3"]},
            "eu-west-2": {"failover_regions": ["eu-west-3"]},
            "eu-west-3": {"headroom_percentage": 15},
        }
        waves = {"first_regions": 3, "first_traffic": 50}
        together = plain([10, 5, 85], regions=regions, type="canary", waves=waves)
        apart = plain([10, 6, 84], regions=regions, type="canary", waves=waves)

        assert order(together)[0] == ("eu-west-1", "eu-west-2")
        assert [len(wave) for wave in order(apart)] == [1, 1, 1]

    def test_distant_windows_share_no_wave(self):
        declared = document(
            {
                "ap-southeast-1": {
                    "traffic_percentage": 2,
                    "deployment_window": "02:00-03:00 Asia/Singapore",
                },
                "ap-east-1": {
                    "traffic_percentage": 2,
                    "deployment_window": "02:30-03:00 Asia/Hong_Kong",
                },
                "sa-east-1": {
                    "traffic_percentage": 2,
                    "deployment_window": "02:00-04:00 America/Sao_Paulo",
                },
                "us-east-1": {"traffic_percentage": 94},
            },
            type="canary",
            waves={"first_regions": 4, "first_traffic": 50},
        )
        plan = plan_regions(declared, now=MONDAY)

        assert plan.order == (("ap-east-1", "ap-southeast-1"), ("sa-east-1",), ("us-east-1",))
        assert any("do not overlap" in reason for reason in plan.waves[1].regions[0].why)
        assert plan.waves[0].starts_at == datetime(2026, 11, 30, 18, 30, tzinfo=UTC)


class TestTimes:
    def test_the_first_wave_of_production_bakes_longest_and_requests_are_waited_for(self):
        declared = plain(
            [50, 50],
            regions={
                "eu-west-1": {"requests_per_minute": 10},
                "eu-west-2": {"requests_per_minute": 1},
            },
            bake={"time": "30m", "first_time": "2h", "requests": 45},
        )
        first, second = plan_regions(declared, now=MONDAY).waves

        assert [wave.bake_seconds for wave in (first, second)] == [2 * 3600, 45 * 60]
        assert first.bake_requests == 45
        assert second.starts_at == first.baked_at + timedelta(minutes=5)

    def test_blue_green_prepares_everywhere_first_and_then_switches(self):
        declared = plain([50, 50], type="blue_green", switch_duration="2m")
        plan = plan_regions(declared, now=MONDAY)

        assert plan.prepare_seconds == 20 * 60
        assert plan.waves[0].starts_at == MONDAY + timedelta(minutes=20)
        assert plan.waves[0].deploy_seconds == (5 + 2) * 60
        assert any("both versions run everywhere" in note for note in plan.notes)

    def test_a_start_is_a_whole_minute_that_is_not_in_the_past(self):
        now = MONDAY.replace(second=1, microsecond=5)

        assert plan_regions(plain([100]), now=now).waves[0].starts_at == MONDAY + timedelta(
            minutes=1
        )

    def test_nights_that_changed_clocks_cut_are_noted(self):
        declared = document(
            {
                "us-east-1": {
                    "traffic_percentage": 100,
                    "deployment_window": "02:15-02:45 America/New_York",
                }
            }
        )
        plan = plan_regions(declared, now=datetime(2026, 3, 8, tzinfo=UTC))

        assert plan.waves[0].starts_at == datetime(2026, 3, 9, 6, 15, tzinfo=UTC)
        assert plan.notes == (
            "us-east-1: clocks change, so its window of 2026-03-08 does not exist",
        )

    def test_a_freeze_is_waited_for_and_noted_and_can_be_set_aside(self):
        freeze = {"name": "sale", "first_day": "2026-11-30", "last_day": "2026-12-01"}
        declared = document({"eu-west-1": {"traffic_percentage": 100}}, [freeze])
        plan = plan_regions(declared, now=MONDAY)
        aside = [Override(what="freezes", reason="the sale is off", by="jo")]

        assert plan.waves[0].starts_at == datetime(2026, 12, 2, tzinfo=UTC)
        assert plan.waves[0].wait_for == "eu-west-1: frozen by sale"
        assert "frozen by sale until 2026-12-02 00:00 UTC" in plan.notes[0]
        assert plan_regions(declared, now=MONDAY, overrides=aside).waves[0].starts_at == MONDAY

    def test_no_start_within_eight_days_is_an_error_that_names_all_and_the_way_out(self):
        freeze = {"name": "winter", "first_day": "2026-11-30", "last_day": "2026-12-09"}
        with pytest.raises(InvalidInput) as error:
            plan_regions(document(SPEC.model_dump()["regions"], [freeze]), now=MONDAY)
        said = str(error.value)

        assert all(name in said for name in SPEC.regions)
        assert "no start is possible within 8d" in said
        assert "frozen by winter" in said
        assert "set the window or the freeze aside with a reason" in said

    def test_a_wait_that_only_the_order_brings_is_an_error_too(self):
        freeze = {"name": "winter", "first_day": "2026-12-01", "last_day": "2026-12-20"}
        declared = plain([40, 60], freezes=[freeze], bake={"time": "12h"})

        with pytest.raises(InvalidInput, match="frozen by winter") as error:
            plan_regions(declared, now=MONDAY)
        assert error.value.field == "regions.eu-west-2.deployment_window"


class TestWhatIsStored:
    def test_a_plan_survives_json(self):
        plan = plan_regions(SPEC, now=MONDAY)

        assert Plan.model_validate_json(plan.model_dump_json()) == plan

    def test_thirty_regions_are_well_below_what_a_state_may_hold(self):
        names = [f"eu-central-{number}" for number in range(1, 31)]
        regions = {
            name: {
                "traffic_percentage": 3.33,
                "deployment_window": "02:00-04:00 America/Los_Angeles",
                "failover_regions": [other for other in names if other != name][:4],
            }
            for name in names
        }
        plan = plan_regions(document(regions, max_wait="90d"), now=MONDAY)

        assert len(json.dumps(plan.model_dump(mode="json"))) < 32 * 1024

    def test_risk_is_of_users_where_they_are_known_and_of_a_hundred_where_not(self):
        known = plain([50, 50], regions={f"eu-west-{n}": {"users": 5000} for n in (1, 2)})
        risk = plan_regions(known, now=MONDAY).risk

        # Seen in the first with one half, in the second with one quarter; four minutes each.
        assert risk.caught_seconds == 240
        assert (risk.user_minutes, risk.of_users, risk.declared) == (
            Decimal(5000 * 4 * 3) / 4,
            10000,
            True,
        )
        assert plan_regions(plain([50, 50]), now=MONDAY).risk.user_minutes == 50 * 4 * Decimal(
            "0.75"
        )

    def test_the_specifications_plan_breaks_no_rule(self):
        assert not broken(SPEC, plan_regions(SPEC, now=MONDAY))
