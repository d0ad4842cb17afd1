import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from greenlane.errors import InvalidInput
from greenlane.regions.planning.model import Override, Plan
from greenlane.regions.planning.planner import plan_regions
from tests.unit.regions.random_regions import broken
from tests.unit.regions.region_files import MONDAY, SPEC, document, plain


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
