"""Cron: expressions and time zones, as KEDA's cron scaler reads them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from vllm_constructs import VllmConstructsError
from vllm_constructs.scaling.cron import check_cron, check_zone

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Name, lowest and highest number, and the names that are legal beside numbers.
FIELDS: list[tuple[str, int, int, tuple[str, ...]]] = [
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 6, DAYS),
]


def expression(position: int, text: str) -> str:
    """Return a cron expression with this text as one of its fields."""
    fields = ["*"] * 5
    fields[position] = text
    return " ".join(fields)


def accepts(position: int, text: str) -> bool:
    """Tell whether a field may hold this text."""
    try:
        check_cron("CronFloor.start", expression(position, text))
    except VllmConstructsError:
        return False
    return True


@pytest.mark.parametrize(
    "value",
    [
        "* * * * *",
        "? ? ? ? ?",
        "0 9 * * *",
        "*/15 * * * *",
        "?/15 * * * *",
        "1-5/2 1-5/2 1-5/2 1-5/2 1-5/2",
        "5/15 * * * *",
        "0 0 * * mon-fri",
        "*/15 8-18 * * MON-FRI",
        "0,30 9 1 JAN ?",
        "5 4 * * 0",
        "0 9 1,15,31 Jan-mar,JUN sun,Tue-6",
        "0 9 * 1-dec *",
        "5-5 9 * * *",
        "00 09 01 01 00",
        "59 23 31 12 6",
        "0 0 1 1 0",
    ],
)
def test_accepted(value: str) -> None:
    """Stars, question marks, numbers, names, ranges, steps and lists are taken as they are."""
    assert value == check_cron("CronFloor.start", value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0 25 * * *", "hour '25' is not a number from 0 to 23;"),
        ("60 9 * * *", "minute '60' is not a number from 0 to 59;"),
        ("0 9 0 * *", "day of month '0' is not a number from 1 to 31;"),
        ("0 9 32 * *", "day of month '32' is not a number from 1 to 31;"),
        ("0 9 * 0 *", "month '0' is not a number from 1 to 12 or a month such as feb;"),
        ("0 9 * 13 *", "month '13' is not a number from 1 to 12 or a month such as feb;"),
        ("0 9 * * 1-8", "day of week '1-8' is not a number from 0 to 6"),
        ("0 9 * * 7", "day of week '7' is not a number from 0 to 6"),
        ("0 9 * foo *", "month 'foo' is not a number from 1 to 12 or a month"),
        ("a b c d e", "minute 'a' is not a number from 0 to 59;"),
        # Names of another field.
        ("0 9 * * jan", "day of week 'jan' is not a number from 0 to 6 or a day of week such as"),
        ("0 9 * * mon-jan", "day of week 'mon-jan' is not"),
        ("0 9 * mon *", "month 'mon' is not a number from 1 to 12 or a month such as feb;"),
        ("0 9 * jan-fri *", "month 'jan-fri' is not"),
        ("jan 9 * * *", "minute 'jan' is not a number from 0 to 59;"),
        ("mon 9 * * *", "minute 'mon' is not a number from 0 to 59;"),
        ("0 feb * * *", "hour 'feb' is not a number from 0 to 23;"),
        ("0 tue * * *", "hour 'tue' is not a number from 0 to 23;"),
        ("0 9 mar * *", "day of month 'mar' is not a number from 1 to 31;"),
        ("0 9 1-wed * *", "day of month '1-wed' is not a number from 1 to 31;"),
        # Names in full are none.
        ("0 9 * * monday", "day of week 'monday' is not"),
        ("0 9 * january *", "month 'january' is not"),
        # Ranges that end before they begin.
        ("0 9 * * 5-1", "day of week '5-1' is a range that ends before it begins;"),
        ("0 9 * * fri-mon", "day of week 'fri-mon' is a range that ends before it begins;"),
        ("0 9 * * 5-mon", "day of week '5-mon' is a range that ends before it begins;"),
        ("0 18-8 * * *", "hour '18-8' is a range that ends before it begins;"),
        ("0 9-8/2 * * *", "hour '9-8/2' is a range that ends before it begins;"),
        ("0 9 * dec-jan *", "month 'dec-jan' is a range that ends before it begins;"),
        ("0 9 1-5,9-7 * *", "day of month '9-7' is a range that ends before it begins;"),
        # What the grammar does not have.
        ("*-5 9 * * *", r"minute '\*-5' is not a number from 0 to 59;"),
        ("0 9 * * ?-5", r"day of week '\?-5' is not"),
        ("5-* 9 * * *", r"minute '5-\*' is not"),
        ("1-2-3 9 * * *", "minute '1-2-3' is not"),
        ("5- 9 * * *", "minute '5-' is not"),
        ("-5 9 * * *", "minute '-5' is not"),
        ("*/0 9 * * *", r"minute '\*/0' is not"),
        ("*/a 9 * * *", r"minute '\*/a' is not"),
        ("1, 9 * * *", "minute '' is not"),
        ("** 9 * * *", r"minute '\*\*' is not"),
        ("0 9 L * *", "day of month 'L' is not"),
        ("0 9 * * 5#3", "day of week '5#3' is not"),
        ("{a=1} 9 * * *", r"minute '\{a=1\}' is not"),
        ("٣ 9 * * *", "minute '٣' is not"),
    ],
)
def test_rejected(value: str, words: str) -> None:
    """A field that KEDA would reject on the cluster is named, and what is wrong with it."""
    with pytest.raises(VllmConstructsError, match=words) as caught:
        check_cron("CronFloor.start", value)

    assert str(caught.value).startswith(f"CronFloor.start is {value!r}, whose ")
    assert str(caught.value).endswith("; write it as in '0 9 * * 1-5'.")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "9",
        "0 9 * *",
        "0 9 * * * *",
        "0  9 * * *",
        " 0 9 * * *",
        "0 9 * * *\n",
        "@daily",
        "TZ=UTC 0 9 * * *",
        9,
        None,
        ["0 9 * * *"],
    ],
)
def test_no_expression(value: object) -> None:
    """What does not have five fields is rejected with an expression that does."""
    sentence = strategies.refusal(lambda: check_cron("CronFloor.start", value))

    expected = "; expected a cron expression of five fields, such as '0 9 * * *'."
    assert f"CronFloor.start is {value!r}{expected}" == sentence


@pytest.mark.parametrize(("position", "field"), list(enumerate(FIELDS)))
def test_fields(position: int, field: tuple[str, int, int, tuple[str, ...]]) -> None:
    """A field takes the numbers of its range and the names of its own kind, and no others."""
    _, low, high, names = field

    numbers = [number for number in range(70) if accepts(position, str(number))]

    assert list(range(low, high + 1)) == numbers
    assert list(names) == [name for name in MONTHS + DAYS if accepts(position, name)]
    assert list(names) == [name for name in MONTHS + DAYS if accepts(position, name.upper())]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(range(5)), st.integers(0, 70), st.integers(0, 70))
def test_ranges(position: int, first: int, last: int) -> None:
    """A range of numbers is taken where both are in the field's range and in their order."""
    _, low, high, _ = FIELDS[position]

    assert (low <= first <= last <= high) is accepts(position, f"{first}-{last}")


@settings(max_examples=100, deadline=None)
@given(st.sampled_from((MONTHS, DAYS)), st.data())
def test_ranges_of_names(names: tuple[str, ...], data: st.DataObject) -> None:
    """A range of names is taken where they are in the order of the year or of the week."""
    first, last = (data.draw(st.integers(0, len(names) - 1)) for _ in range(2))

    position = 3 if names == MONTHS else 4

    assert (first <= last) is accepts(position, f"{names[first]}-{names[last]}")


@pytest.mark.parametrize("name", ["Asia/Shanghai", "UTC", "Etc/GMT+5", "America/Indiana/Knox"])
def test_zone(name: str) -> None:
    """The name of a time zone is taken as it is."""
    assert name == check_zone("CronFloor.timezone", name)


@pytest.mark.parametrize("name", ["Mars", "a b", "", "/etc/passwd", "../UTC", "UTC/", None, 8])
def test_unknown_zone(name: object) -> None:
    """An unknown time zone is rejected with one that is known."""
    sentence = strategies.refusal(lambda: check_zone("CronFloor.timezone", name))

    expected = "expected an IANA time zone such as 'Asia/Shanghai'."
    assert f"CronFloor.timezone is {name!r}; {expected}" == sentence


def test_no_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any name of a zone is taken where no zone is known at all, but nothing malformed."""

    def nothing(key: str) -> None:
        raise LookupError(key)

    monkeypatch.setattr("zoneinfo.ZoneInfo", nothing)

    assert "Mars" == check_zone("CronFloor.timezone", "Mars")
    assert "is 'a b'" in strategies.refusal(lambda: check_zone("CronFloor.timezone", "a b"))
