"""What the checks make of what they see."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Access, Keys
from s3pp.diagnosis import machine
from s3pp.diagnosis.account import check_account, check_expiry
from s3pp.diagnosis.doctor import examine
from s3pp.diagnosis.examination import Examined, directory_of
from s3pp.diagnosis.facts import check_clock
from s3pp.diagnosis.findings import Diagnosis, Finding, Rating, failed, not_tried, ok, warning
from s3pp.diagnosis.latency import LEAST, quantile, suggested_concurrency
from s3pp.diagnosis.network import Address, check_addresses, check_certificate, check_name
from s3pp.diagnosis.page import event, lines_of, summary
from s3pp.diagnosis.requests import Need, condition, permission
from s3pp.errors import ExitStatus
from s3pp.job import Job
from s3pp.places import parse_origin
from s3pp.report.outlet import Streams
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.key_source import KeySource, shown_key_id
from s3pp.s3.retry import StoreError

NEED = Need("put object", "s3:PutObject", "put")
HERE = Endpoint("http", "store.example", "/b", "us-east-1", "b")
AWS = Endpoint("https", "b.s3.amazonaws.com", "", "us-east-1", "b")


@pytest.mark.parametrize(
    ("answer", "rating", "said"),
    [
        (None, Rating.OK, "allowed"),
        (StoreError(403, "AccessDenied", ""), Rating.FAILED, "allow s3:PutObject on s3://b/*"),
        (StoreError(400, "InvalidRequest", ""), Rating.FAILED, "docs/stores.rst"),
    ],
)
def test_a_permission(answer: object, rating: Rating, said: str) -> None:
    found = permission(NEED, answer, "s3://b/*")
    assert found.rating is rating
    assert said in found.found + found.advice
    optional = permission(NEED._replace(optional=True), answer, "s3://b/*")
    assert (optional.rating is Rating.OK) == (rating is Rating.OK)
    assert optional.rating is not Rating.FAILED


@pytest.mark.parametrize(
    ("answer", "rating"),
    [
        (StoreError(412, "PreconditionFailed", ""), Rating.OK),
        (StoreError(404, "NoSuchKey", ""), Rating.OK),
        (StoreError(403, "AccessDenied", ""), Rating.NOT_TRIED),
        (StoreError(501, "NotImplemented", ""), Rating.WARNING),
        (None, Rating.WARNING),
    ],
)
def test_a_condition_that_does_not_hold(answer: object, rating: Rating) -> None:
    assert condition("put if absent", answer, "lack").rating is rating


@pytest.mark.parametrize(
    ("skew", "rating", "said"),
    [
        (0.4, Rating.OK, "within a minute"),
        (-59.0, Rating.OK, "within a minute"),
        (61.0, Rating.WARNING, "61 seconds behind the store's"),
        (-1200.0, Rating.WARNING, "1200 seconds ahead of the store's"),
        (None, Rating.NOT_TRIED, "no date"),
    ],
)
def test_the_clock(skew: float | None, rating: Rating, said: str) -> None:
    found = check_clock(skew)
    assert found.rating is rating
    assert said in found.found


def test_the_addresses_of_the_store() -> None:
    one, two = (Address(socket.AF_INET, (f"192.0.2.{number}", 80)) for number in (1, 2))
    assert check_addresses({one: 0.01}, "h:80") == ok("connection", "1 address, 10.0 ms")
    assert check_addresses({one: 0.01, two: 0.02}, "h:80").found == "each of 2 addresses, 10.0 ms"
    some = check_addresses({one: 0.01, two: "no answer"}, "h:80")
    assert (some.rating, some.found) == (Rating.WARNING, "1 of 2 addresses; 192.0.2.2: no answer")
    none = check_addresses({one: "connection refused"}, "h:80")
    assert none.rating is Rating.FAILED
    assert none.found == "h:80 cannot be reached (192.0.2.1: connection refused)"
    assert check_name("h", [one, one, two]).found == "h is 192.0.2.1, 192.0.2.2"
    assert check_name("192.0.2.1", [one]).found == "192.0.2.1"


def test_the_end_of_a_certificate() -> None:
    names = (("DNS", "a.example"), ("DNS", "b.example"))
    certificate = {"subjectAltName": names, "notAfter": "Jan 31 00:00:00 2026 GMT"}
    january_1 = 1767225600.0
    good = check_certificate("TLSv1.3", certificate, now=january_1)
    assert good == ok("TLS", "TLSv1.3; certificate of a.example, b.example, valid for 30 more days")
    assert check_certificate("x", certificate, now=january_1 + 20 * 86400).rating is Rating.WARNING
    assert check_certificate("x", {}, now=january_1).rating is Rating.OK


def test_where_credentials_come_from_and_until_when() -> None:
    keys = Keys("AKIAIOSFODNN7EXAMPLE", "a-secret", "a-token")
    found = [*check_account(KeySource("sso", "work"), keys)]
    text = repr(found)
    assert "single sign-on (aws sso login), profile 'work'" in text
    assert "AKIA…MPLE, with a session token" in text
    assert not [each for each in ("a-secret", "a-token", keys.access_key) if each in text]
    assert shown_key_id(Keys("short:id", "x")) == "8 characters"
    assert [each.check for each in check_account(KeySource("none"), None)] == ["source"]
    later = check_expiry(KeySource("sso", "", 7300.0), temporary=True, now=0.0)
    assert later == ok("expiry", "in 2 h 1 min; s3pp renews them")
    assert check_expiry(KeySource("sso", "", 60.0), temporary=True, now=0.0).is_problem


def test_the_suggestion_is_of_the_measured_rates() -> None:
    """docs/doctor.rst has these numbers."""
    assert suggested_concurrency(HERE, 0.0002, cores=2) == LEAST
    assert suggested_concurrency(HERE, 0.02, cores=2) == 512
    assert suggested_concurrency(AWS, 0.03, cores=2) == 512
    assert suggested_concurrency(AWS, 0.1, cores=64) == 2048, "5,500 requests a second"


@given(st.floats(0, 60), st.integers(1, 256))
def test_a_suggestion_is_one_that_can_be_given(median: float, cores: int) -> None:
    found = suggested_concurrency(HERE, median, cores=cores)
    assert LEAST <= found <= 100_000
    assert found <= suggested_concurrency(HERE, median * 2, cores=cores)


def test_quantiles() -> None:
    times = [float(each) for each in range(20)]
    assert (quantile(times, 0.5), quantile(times, 0.95), quantile([3.0], 0.95)) == (10, 19, 3)


@pytest.mark.parametrize(
    ("ratings", "ending", "status"),
    [
        ([Rating.OK, Rating.WARNING, Rating.NOT_TRIED], ExitStatus.OK, ExitStatus.OK),
        ([Rating.OK, Rating.FAILED], ExitStatus.OK, ExitStatus.SOME_FAILED),
        ([Rating.FAILED], ExitStatus.USAGE, ExitStatus.USAGE),
        ([Rating.FAILED], ExitStatus.ABORTED, ExitStatus.ABORTED),
    ],
)
def test_the_exit_code(ratings: list[Rating], ending: ExitStatus, status: ExitStatus) -> None:
    findings = [Finding("check", rating, "found") for rating in ratings]
    assert Diagnosis({"section": findings}, ending).status is status


def test_lines_and_json() -> None:
    found = [ok("a", "well"), warning("b", "line\nend", "do"), warning("c", "x", "y")]
    diagnosis = Diagnosis({"one": found, "two": [failed("d", "bad", "z"), not_tried("e", "why")]})
    assert lines_of(found[0]) == ["  ok         a: well"]
    assert len(lines_of(found[1])) == 2
    assert summary(diagnosis) == "doctor: 1 ok, 2 warnings, 1 failed, 1 not tried"
    made = json.loads(json.dumps(event(diagnosis, "s3://b")))
    assert (made["place"], made["exit_code"]) == ("s3://b", 1)
    assert made["counts"] == {"ok": 1, "warning": 2, "failed": 1, "not tried": 1}
    assert made["sections"]["two"][0] == {
        "check": "d",
        "rating": "failed",
        "found": "bad",
        "advice": "z",
    }


@pytest.mark.parametrize(
    ("place", "directory"),
    [
        ("s3://bucket", ""),
        ("s3://bucket/p", "p/"),
        ("s3://bucket/p/", "p/"),
        ("s3://bucket/p/logs-*", "p/"),
        ("s3://bucket/logs-*", ""),
    ],
)
def test_probes_lie_below_what_is_named(place: str, directory: str) -> None:
    assert directory_of(parse_origin(place).prefix) == directory


def test_memory_is_what_the_control_group_leaves(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    directory = str(tmp_path)
    monkeypatch.setattr(machine, "_CGROUP", f"{directory}/memory.")
    for name, text in (("max", "300000000\n"), ("current", "299999000\n")):
        with open(f"{directory}/memory.{name}", "w") as file:
            file.write(text)
    assert machine.available_memory() == 1000


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that accepts connections, and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_store_that_never_answers(silent: str) -> None:
    access = Access(endpoint_url=silent, credentials=Keys("a", "b"), read_timeout=1.0)
    job = Job("doctor", origins=(parse_origin("s3://a-bucket"),), access=access)
    out = StringIO()
    assert examine(Examined(job), Streams.of(out, StringIO())) is ExitStatus.ABORTED
    assert "  ok         connection: 1 address, " in out.getvalue()
    assert "  failed     first request: " in out.getvalue()
