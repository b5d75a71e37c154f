"""What the environment may say, and how it is told when it is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastflow_ray.errors import InvalidInput
from fastflow_ray.queue.connection import RECONNECT_PAUSES_S
from fastflow_ray.queue.limits import RECONNECT_S
from fastflow_ray.settings import Settings


def test_nothing_has_to_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({})
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.store_url == (tmp_path / ".fastflow-ray/store").as_uri()
    assert (settings.api_url, settings.api_key) == (None, None)
    assert (settings.lease_s, settings.beat_s, settings.grace_s, settings.stall_s) == (60, 10, 30, 300)


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTFLOW_STORE_URL", "s3://bucket/films")
    assert Settings.from_environment().store_url == "s3://bucket/films"


def test_every_field_has_its_variable() -> None:
    given = {
        "FASTFLOW_REDIS_URL": "rediss://u:p@host:7000/1",
        "FASTFLOW_STORE_URL": "file:///tmp/store",
        "FASTFLOW_API_URL": "https://fleet",
        "FASTFLOW_API_KEY": "secret",
        "FASTFLOW_LEASE_S": "6",
        "FASTFLOW_BEAT_S": "0.5",
        "FASTFLOW_GRACE_S": "6",
        "FASTFLOW_STALL_S": "7",
        "FASTFLOW_MAX_CRASHES": "5",
        "FASTFLOW_MAX_QUEUED": "99",
        "FASTFLOW_RESULT_TTL_S": "3600",
        "FASTFLOW_MACHINE": "gpu-7",
    }
    read = Settings.from_environment(given).model_dump()
    assert {f"FASTFLOW_{field.upper()}": str(value) for field, value in read.items()} == {
        **given,
        "FASTFLOW_LEASE_S": "6.0",
        "FASTFLOW_GRACE_S": "6.0",
        "FASTFLOW_STALL_S": "7.0",
        "FASTFLOW_RESULT_TTL_S": "3600.0",
    }


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment({"FASTFLOW_REDIS_URL": "", "FASTFLOW_LEASE_S": ""}).lease_s == 60


@pytest.mark.parametrize(("text", "key"), [("secret\n", "secret"), (" two words\r\n", "two words")])
def test_a_key_is_without_the_newline_of_its_file(text: str, key: str) -> None:
    assert Settings.from_environment({"FASTFLOW_API_KEY": text}).api_key == key


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        (
            "FASTFLOW_REDIS_URL",
            "localhost:6379",
            "must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://",
        ),
        ("FASTFLOW_STORE_URL", "/tmp/store", "must begin with file:// or s3://"),
        ("FASTFLOW_API_URL", "fleet:8000", "must begin with http:// or https://"),
        ("FASTFLOW_API_KEY", "\n", "must be more than spaces"),
        ("FASTFLOW_LEASE_S", "a minute", "must be a number of seconds above 0"),
        ("FASTFLOW_GRACE_S", "0", "must be a number of seconds above 0"),
        ("FASTFLOW_STALL_S", "inf", "must be a number of seconds above 0"),
        ("FASTFLOW_MAX_CRASHES", "0", "must be a whole number of workers, 1 or more"),
        ("FASTFLOW_MAX_QUEUED", "-1", "must be a whole number of jobs, 1 or more"),
        ("FASTFLOW_RESULT_TTL_S", "0", "must be a number of seconds above 0"),
        ("FASTFLOW_LEASE_S", "nan", "must be a number of seconds above 0"),
        ("FASTFLOW_GRACE_S", "24.9", "is below 25, two of FASTFLOW_BEAT_S=10 and the 5 s in which a lost connection"),
        ("FASTFLOW_BEAT_S", "60", "FASTFLOW_BEAT_S=60 is not below FASTFLOW_LEASE_S=60"),
    ],
)
def test_a_wrong_value_is_told_with_its_variable_and_its_remedy(variable: str, value: str, remedy: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Settings.from_environment({variable: value})
    assert str(refused.value).startswith(variable)
    assert remedy in str(refused.value)


def test_secrets_are_not_shown() -> None:
    settings = Settings.from_environment({"FASTFLOW_REDIS_URL": "redis://:hush@h/0", "FASTFLOW_API_KEY": "hush"})
    assert "hush" not in repr(settings)
    with pytest.raises(InvalidInput) as refused:
        Settings.from_environment({"FASTFLOW_REDIS_URL": "http://:hush@h/0"})
    assert "hush" not in str(refused.value)


def test_the_grace_is_as_long_as_a_worker_may_be_silent_in_good_health() -> None:
    assert sum(RECONNECT_PAUSES_S) == RECONNECT_S
    assert Settings.from_environment({"FASTFLOW_GRACE_S": "25"}).grace_s == 25
    assert Settings.from_environment({"FASTFLOW_GRACE_S": "7", "FASTFLOW_BEAT_S": "1"}).grace_s == 7
    with pytest.raises(InvalidInput, match="FASTFLOW_GRACE_S=30 is below 31"):
        Settings.from_environment({"FASTFLOW_BEAT_S": "13"})


def test_a_variable_that_is_no_setting_is_warned_of_once_with_the_nearest(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        assert Settings.from_environment({"FASTFLOW_LEASE_SECONDS": "6", "FASTFLOW_REDIS": "hush"}).lease_s == 60
    assert caplog.messages == [
        "FASTFLOW_LEASE_SECONDS is no setting and is ignored; the nearest one is FASTFLOW_LEASE_S",
        "FASTFLOW_REDIS is no setting and is ignored; the nearest one is FASTFLOW_REDIS_URL",
    ]


SERVICE = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8000_TCP", "PORT_8000_TCP_ADDR")


def test_what_others_set_is_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Kubernetes tells every pod of its services, FASTFLOW_MODELS is the catalogue's; what only our tests read begins
    otherwise than a setting."""
    theirs = [f"FASTFLOW_{name}_{what}" for name in ("API", "HEAD_SVC") for what in SERVICE]
    tests = {
        name
        for file in Path(__file__).parents[1].rglob("*.py")
        for name in re.findall(r'environ\.get\(\s*"(\w+)', file.read_text())
    }
    assert "FAULT_SEED" in tests
    Settings.from_environment(dict.fromkeys(["REDIS_URL", "FASTFLOWS", "FASTFLOW_MODELS", *theirs, *tests], "1"))
    assert caplog.messages == []
