"""ISO 8601 dates and timestamps, counted exactly, including years that Python's datetime does not support."""

import re

_DATE = r"(?P<year>[+-]?\d{4,9})-(?P<month>\d\d)-(?P<day>\d\d)"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
_ZONE = r"(?:Z|(?P<offset>[+-]\d\d:\d\d(?::\d\d)?))"

_ISO_DATE = re.compile(rf"{_DATE}{_ZONE}?", re.ASCII)
_ISO_TIMESTAMP = re.compile(rf"{_DATE}T{_CLOCK}{_ZONE}?", re.ASCII)

_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US


class MalformedTime(ValueError):
    """A text is not a date or time of ISO 8601. The message does not repeat it."""


def parse_date(text: str) -> int:
    """Return the days from 1970-01-01 to an ISO date, such as "2026-01-02" or "-0043-03-15Z"."""
    return _days(_matched(_ISO_DATE, text))


def parse_timestamp(text: str) -> int:
    """Return the microseconds from 1970 to an ISO timestamp, which is UTC if it has no offset."""
    match = _matched(_ISO_TIMESTAMP, text)
    return _days(match) * _DAY_US + _clock_us(match) - _offset_s(match) * _SECOND_US


def _matched(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    match = pattern.fullmatch(text)
    if match is None:
        raise MalformedTime("not a date or time of ISO 8601")
    return match


def _days(match: re.Match[str]) -> int:
    """Count days in the proleptic Gregorian calendar, whose year 0 is 1 BC.

    Source: https://howardhinnant.github.io/date_algorithms.html#days_from_civil
    """
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    if not 1 <= month <= 12 or not 1 <= day <= _DAYS_IN_MONTH[month - 1]:
        raise MalformedTime("no such day")
    if month == 2 and day == 29 and (year % 4 != 0 or (year % 100 == 0 and year % 400 != 0)):
        raise MalformedTime("no such day")
    shifted = year - (month <= 2)
    era, year_of_era = divmod(shifted, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _clock_us(match: re.Match[str]) -> int:
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    fraction = (match["fraction"] or "").ljust(9, "0")
    us = (hour * 3600 + minute * 60 + second) * _SECOND_US + int(fraction[:6])
    if minute > 59 or second > 59 or us > _DAY_US or fraction[6:] != "000":
        raise MalformedTime("no such time of day in whole microseconds")
    return us


def _offset_s(match: re.Match[str]) -> int:
    if match["offset"] is None:
        return 0
    sign = -1 if match["offset"].startswith("-") else 1
    parts = [int(part) for part in match["offset"][1:].split(":")]
    return sign * sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
