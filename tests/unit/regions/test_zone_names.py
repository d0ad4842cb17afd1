from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import tzdata

from greenlane.regions.windows import zones
from greenlane.regions.windows.zones import AMBIGUOUS, ASSUMED, SUMMER, names, rules_of, zone_of

JULY = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("EST", "America/New_York"),
        ("PST", "America/Los_Angeles"),
        ("CET", "Europe/Berlin"),
        ("SGT", "Asia/Singapore"),
        ("sgt", "Asia/Singapore"),
    ],
)
def test_an_abbreviation_is_taken_for_a_zone_and_says_so(written, key):
    zone = zone_of(written)

    assert zone.key == key
    assert zone.assumption == f"{written} → {key} (assumed)"


def test_est_has_summer_time_although_the_zone_of_that_name_has_none():
    assert zone_of("EST").tz.utcoffset(JULY.replace(tzinfo=None)) == timedelta(hours=-4)
    assert rules_of("EST").utcoffset(JULY.replace(tzinfo=None)) == timedelta(hours=-5)


@pytest.mark.parametrize("written", [*AMBIGUOUS, *SUMMER])
def test_what_means_several_zones_or_half_of_the_year_is_refused_with_a_way_out(written):
    with pytest.raises(ValueError, match="write") as error:
        zone_of(written)

    meant = {**AMBIGUOUS, **SUMMER}[written]
    assert all(zone in str(error.value) for zone in meant)


def test_thirty_and_more_abbreviations_are_refused():
    assert len({*AMBIGUOUS, *SUMMER}) >= 30


def test_every_zone_that_is_named_exists():
    named = {*ASSUMED.values(), *(zone for found in AMBIGUOUS.values() for zone in found)}
    named |= {zone for found in SUMMER.values() for zone in found}

    assert named <= set(names())
    assert not ASSUMED.keys() & (AMBIGUOUS.keys() | SUMMER.keys())


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Europe/berlin", "did you mean Europe/Berlin?"),
        ("America/NewYork", "did you mean America/New_York?"),
        ("Tokyo", "did you mean Asia/Tokyo?"),
        ("UTC-5", "UTC-05:00"),
        ("UTC+15:00", "UTC-05:00"),
        ("UTC+01:75", "UTC-05:00"),
        ("XYZ", "Europe/Berlin"),
        ("Factory", "no time zone"),
        ("../zones", "no time zone"),
    ],
)
def test_what_is_no_zone_is_refused_with_a_suggestion(written, said):
    with pytest.raises(ValueError, match="there is no time zone") as error:
        zone_of(written)

    assert said in str(error.value)


def test_a_fixed_offset_is_what_it_says_all_year():
    zone = zone_of("UTC-05:00")

    assert zone.assumption == ""
    assert {zone.tz.utcoffset(JULY), zone.tz.utcoffset(JULY + timedelta(days=183))} == {
        timedelta(hours=-5)
    }


@pytest.mark.parametrize("written", ["EST5EDT", "PST8PDT", "UTC", "Asia/Calcutta"])
def test_names_of_iana_are_taken_as_they_are(written):
    assert zone_of(written) == zones.Zone(written, written)


@pytest.mark.parametrize(
    ("written", "said"), [("Etc/GMT+5", "UTC-05:00"), ("GMT", "no summer time")]
)
def test_a_name_that_people_misread_comes_with_a_word(written, said):
    assert said in zone_of(written).assumption


def test_rules_come_from_the_package_whatever_the_machine_has(monkeypatch, tmp_path):
    monkeypatch.setattr("zoneinfo.TZPATH", (str(tmp_path),))
    rules_of.cache_clear()
    ZoneInfo.clear_cache()

    # British Columbia stays at -07:00 since March 2026: older machines do not know.
    november = datetime(2026, 11, 15, tzinfo=UTC)
    assert november.astimezone(rules_of("America/Vancouver")).utcoffset() == timedelta(hours=-7)
    assert zones.IANA_VERSION == tzdata.IANA_VERSION


def test_every_zone_of_the_package_can_be_read():
    assert len(names()) > 500
    assert all(JULY.astimezone(rules_of(name)).utcoffset() is not None for name in names())
