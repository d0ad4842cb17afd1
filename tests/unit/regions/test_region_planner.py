from datetime import UTC, datetime, timedelta

import pytest

from greenlane.regions.declaring.model import RegionsDocument
from greenlane.regions.planning.comparing import compare
from greenlane.regions.planning.model import Override
from greenlane.regions.planning.planner import outdated, plan_regions
from greenlane.regions.windows.zones import IANA_VERSION
from tests.unit.regions.region_files import MONDAY, SPEC, UNBOUND, document, eight, order, plain


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
