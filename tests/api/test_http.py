"""The wire itself: bodies, headers, refusals, bytes and events, as any HTTP client sees them."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import redis
from hand_worker import HandWorker
from leaks import ClosedAfter
from live_server import serving
from waiting import wait_for

from fastflow_ray.bandit.statistics import Statistics
from fastflow_ray.queue import open_queue
from fastflow_ray.queue.contract import Progress
from fastflow_ray.queue.embedded import EmbeddedValkey
from fastflow_ray.queue.statistics_store import StatisticsStore
from fastflow_ray.storage.contract import Store
from orchestration.api.app import create_app, open_app
from orchestration.api.create_request import MAX_BODY_BYTES

SHIP = {"prompt": "a ship"}
FIDELITY_FORM = {**SHIP, "fidelity_db": "40", "confidence": "0.9", "audit": "false", "tea": "1"}


def error_of(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


class TestCreate:
    @pytest.mark.parametrize(
        "body",
        [
            {"json": {"prompt": "a ship", "num_frames": 9, "extra_body": {"seed": 4}}},
            {"data": {"prompt": "a ship", "num_frames": "9", "extra_body[seed]": "4"}},
            {"files": {"prompt": (None, "a ship"), "num_frames": (None, "9"), "extra_body": (None, '{"seed": 4}')}},
        ],
        ids=["json", "urlencoded", "multipart"],
    )
    def test_json_and_forms_say_the_same(self, http: httpx.Client, body: dict[str, object]):
        video = http.post("/v1/videos", **body).raise_for_status().json()
        assert (video["prompt"], video["request"]["frames"], video["request"]["seed"]) == ("a ship", 9, 4)
        assert video["warnings"] == []

    @pytest.mark.parametrize(
        "body",
        [
            {"json": {**SHIP, "fidelity_db": 40, "confidence": 0.9, "audit": False, "extra_body": {"tea": 1}}},
            {
                "data": {
                    **SHIP,
                    "extra_body[fidelity_db]": "40",
                    "extra_body[confidence]": "0.9",
                    "audit": "0",
                    "tea": "1",
                }
            },
            {"files": {name: (None, value) for name, value in FIDELITY_FORM.items()}},
        ],
        ids=["json", "urlencoded", "multipart"],
    )
    def test_a_fidelity_is_asked_for_the_same_way(self, http: httpx.Client, body: dict[str, object]):
        video = http.post("/v1/videos", **body).raise_for_status().json()
        assert video["acceleration"]["pace"] == {"fidelity_db": 40.0, "confidence": 0.9}
        assert (video["request"]["audit"], len(video["warnings"])) == (False, 1)

    @pytest.mark.parametrize("turned", [False, True])
    def test_a_nested_field_beside_a_text_of_them_is_ignored_with_a_warning(self, http: httpx.Client, turned: bool):
        both = {"extra_body": '{"steps": 5}', "extra_body[seed]": "4"}
        form = {**SHIP, **dict(sorted(both.items(), reverse=turned))}
        video = http.post("/v1/videos", data=form).raise_for_status().json()
        assert (video["request"]["steps"], video["warnings"]) == (5, ["unknown field 'extra_body[seed]' is ignored"])

    def test_json_that_is_sent_as_a_form_is_told_the_header(self, http: httpx.Client):
        as_curl_does = {"content-type": "application/x-www-form-urlencoded"}
        error = error_of(http.post("/v1/videos", content='{"prompt":"a red circle"}', headers=as_curl_does), 415)
        assert "add the header content-type: application/json" in error["message"]

    def test_acceleration_that_cannot_be_had_is_refused(self, http: httpx.Client):
        error = error_of(http.post("/v1/videos", json=SHIP | {"speedup": 40}), 400)
        assert (error["param"], error["code"]) == ("speedup", "invalid_input")
        assert "ask for 25 at most" in str(error["message"])

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
            ({"content": b"[" * 200_000, "headers": {"content-type": "application/json"}}, 400),
            ({"content": b"\xff", "headers": {"content-type": "application/json"}}, 400),
            ({"json": ["a ship"]}, 400),
            ({"json": {}}, 400),
            ({"content": b"", "headers": {}}, 400),
            ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400),
            ({"content": b"a ship", "headers": {"content-type": "text/plain"}}, 415),
            ({"content": b" " * (MAX_BODY_BYTES + 1), "headers": {"content-type": "application/json"}}, 413),
        ],
    )
    def test_a_body_that_is_none(self, http: httpx.Client, body: dict[str, object], status: int):
        assert error_of(http.post("/v1/videos", **body), status)["type"] == "invalid_request_error"

    def test_a_body_without_a_declared_length_is_cut_off_too(self, http: httpx.Client):
        endless = iter([b" " * 2**20] * 5)
        answer = http.post("/v1/videos", content=endless, headers={"content-type": "application/json"})
        error_of(answer, 413)

    @pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=b"])
    def test_who_leaves_amid_its_body_is_no_failure_of_the_server(
        self, redis_url: str, store_url: str, capsys: pytest.CaptureFixture[str], media_type: str
    ):
        head = f"POST /v1/videos HTTP/1.1\r\nHost: x\r\nContent-Type: {media_type}\r\nContent-Length: 99\r\n\r\n"
        with serving(open_app(redis_url, store_url)) as url:
            with socket.create_connection(("127.0.0.1", httpx.URL(url).port)) as connection:
                connection.sendall(head.encode() + b"--b")
            counted = 'fastflow_http_requests_total{method="POST",route="/v1/videos",status="400"} 1.0'
            wait_for(lambda: counted in httpx.get(f"{url}/metrics").text, timeout_s=20)
        assert "Traceback" not in capsys.readouterr().err

    def test_a_wrong_number_names_its_field(self, http: httpx.Client):
        error = error_of(http.post("/v1/videos", json=SHIP | {"num_frames": 16}), 400)
        assert (error["param"], error["code"]) == ("num_frames", "invalid_input")
        assert "4k+1, such as 13 or 17" in str(error["message"])


class TestIdempotency:
    def test_a_key_sent_again_answers_the_same_video(self, http: httpx.Client):
        first, again = (
            http.post("/v1/videos", json=SHIP, headers={"Idempotency-Key": "k1"}).raise_for_status().json()
            for _ in range(2)
        )
        assert again["id"] == first["id"]
        assert again["request"]["seed"] == first["request"]["seed"]

    @pytest.mark.parametrize("changed", [{"seed": 5}, {"model": "wan2.1-t2v-1.3b"}])
    def test_a_key_with_another_body_is_refused(self, http: httpx.Client, changed: dict[str, object]):
        headers = {"Idempotency-Key": "k1"}
        http.post("/v1/videos", json=SHIP, headers=headers).raise_for_status()
        error_of(http.post("/v1/videos", json=SHIP | changed, headers=headers), 422)


def test_a_full_queue_asks_to_come_back_later(redis_url: str, store: Store):
    queue = open_queue(redis_url, "shapes", max_queued=1)
    with serving(create_app({"shapes": queue}, {}, store)) as url:
        httpx.post(f"{url}/v1/videos", json=SHIP).raise_for_status()
        answer = httpx.post(f"{url}/v1/videos", json=SHIP)
        assert error_of(answer, 429)["type"] == "rate_limit_error"
        assert int(answer.headers["Retry-After"]) >= 1
        assert 'fastflow_jobs_submitted_total{model="shapes",outcome="full"} 1.0' in httpx.get(f"{url}/metrics").text


def test_a_queue_without_memory_is_full_for_its_users_and_its_operator_reads_why(
    tmp_path: Path, store: Store, closed_after: ClosedAfter, caplog: pytest.LogCaptureFixture
):
    with EmbeddedValkey(tmp_path / "valkey") as server:
        queue = closed_after(open_queue(server.url, "shapes"))
        with redis.Redis.from_url(server.url) as client:
            client.config_set("maxmemory", 1)
        with serving(create_app({"shapes": queue}, {}, store)) as url:
            answer = httpx.post(f"{url}/v1/videos", json=SHIP)
    error = error_of(answer, 429)
    assert (error["code"], error["message"]) == ("queue_full", "the queue is full; try again in 60 s")
    assert answer.headers["Retry-After"] == "60"
    assert "forget ended jobs, or raise its maxmemory" in caplog.text


class TestOddAddresses:
    @pytest.mark.parametrize(
        "video_id",
        ["nobody", "..%2F..%2Fetc%2Fpasswd", "%00", "*", "a" * 500, "{shapes}", "jobs%2F", "ff:{shapes}:stat"],
    )
    @pytest.mark.parametrize("tail", ["", "/content", "/events"])
    def test_an_id_that_is_none(self, http: httpx.Client, video_id: str, tail: str):
        error_of(http.get(f"/v1/videos/{video_id}{tail}"), 404)

    def test_a_route_that_is_none(self, http: httpx.Client):
        assert error_of(http.get("/v2/videos"), 404)["code"] == "not_found"

    def test_a_method_that_is_none(self, http: httpx.Client):
        answer = http.put("/v1/videos")
        assert error_of(answer, 405)["code"] == "method_not_allowed"
        assert answer.headers["Allow"]

    @pytest.mark.parametrize(
        ("path", "methods"),
        [
            ("", "GET, POST"),
            ("/some-id", "DELETE, GET"),
            ("/some-id/cancel", "POST"),
            ("/some-id/events", "GET"),
            ("/some-id/content", "GET, HEAD"),
        ],
    )
    def test_a_method_that_is_none_is_told_those_that_are(self, http: httpx.Client, path: str, methods: str):
        assert http.patch(f"/v1/videos{path}").headers["Allow"] == methods

    @pytest.mark.parametrize(
        ("query", "param"), [({"limit": 0}, "limit"), ({"order": "up"}, "order"), ({"after": "nobody"}, "after")]
    )
    def test_a_query_that_is_none(self, http: httpx.Client, query: dict[str, object], param: str):
        assert error_of(http.get("/v1/videos", params=query), 400)["param"] == param


def test_a_list_after_a_video_that_is_gone_says_how_to_go_on(http: httpx.Client):
    video = http.post("/v1/videos", json=SHIP).json()
    http.delete(f"/v1/videos/{video['id']}").raise_for_status()
    error = error_of(http.get("/v1/videos", params={"after": video["id"]}), 400)
    assert error["param"] == "after"
    assert "list on after an earlier one, or from the first page" in str(error["message"])


def test_an_empty_list(http: httpx.Client):
    assert http.get("/v1/videos").json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }


def test_cancelling_keeps_the_row(http: httpx.Client):
    video = http.post("/v1/videos", json=SHIP).json()
    cancelled = http.post(f"/v1/videos/{video['id']}/cancel").raise_for_status().json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    assert http.get(f"/v1/videos/{video['id']}").json() == cancelled


class TestContent:
    @pytest.fixture
    def video_id(self, http: httpx.Client, worker: HandWorker) -> str:
        video = http.post("/v1/videos", json=SHIP).json()
        worker.finish(worker.claim())
        return str(video["id"])

    def test_the_bytes_under_a_name_of_their_own(self, http: httpx.Client, video_id: str):
        answer = http.get(f"/v1/videos/{video_id}/content").raise_for_status()
        assert answer.headers["content-type"] == "video/mp4"
        assert f'filename="{video_id}.mp4"' in answer.headers["content-disposition"]
        assert answer.content[4:8] == b"ftyp"

    @pytest.mark.parametrize("variant", ["video", "thumbnail"])
    def test_its_size_and_type_are_told_without_it(self, http: httpx.Client, video_id: str, variant: str):
        file, query = f"/v1/videos/{video_id}/content", {"variant": variant}
        head, whole = (http.request(method, file, params=query).raise_for_status() for method in ("HEAD", "GET"))
        assert head.content == b""
        for name in ("content-type", "content-length"):
            assert head.headers[name] == whole.headers[name]
        assert http.head("/v1/videos/nobody/content").status_code == 404

    def test_a_range_for_those_who_seek(self, http: httpx.Client, video_id: str):
        answer = http.get(f"/v1/videos/{video_id}/content", headers={"Range": "bytes=4-7"})
        assert (answer.status_code, answer.content) == (206, b"ftyp")

    @pytest.mark.parametrize(
        ("wanted", "status"), [("bytes=99999999-", 416), ("bytes=x", 400), ("bytes=7-4", 400), ("seconds=0-1", 400)]
    )
    def test_a_range_that_is_none(self, http: httpx.Client, video_id: str, wanted: str, status: int):
        answer = http.get(f"/v1/videos/{video_id}/content", headers={"Range": wanted})
        assert error_of(answer, status)["param"] == "Range"
        assert answer.headers.get("Content-Range", "").startswith("bytes */") is (status == 416)

    def test_a_variant_that_was_not_made(self, http: httpx.Client, video_id: str):
        answer = http.get(f"/v1/videos/{video_id}/content", params={"variant": "spritesheet"})
        assert error_of(answer, 404)["param"] == "variant"

    def test_a_variant_that_does_not_exist(self, http: httpx.Client, video_id: str):
        answer = http.get(f"/v1/videos/{video_id}/content", params={"variant": "../../etc/passwd"})
        assert error_of(answer, 400)["param"] == "variant"

    def test_files_deleted_behind_our_back(self, http: httpx.Client, video_id: str, store: Store):
        store.delete_prefix(f"jobs/{video_id}/")
        assert error_of(http.get(f"/v1/videos/{video_id}/content"), 404)["code"] == "gone"

    def test_no_video_yet(self, http: httpx.Client):
        video = http.post("/v1/videos", json=SHIP).json()
        assert error_of(http.get(f"/v1/videos/{video['id']}/content"), 404)["code"] == "no_content"


def test_events_tell_every_change_until_the_end(http: httpx.Client, worker: HandWorker):
    video = http.post("/v1/videos", json=SHIP).json()
    with http.stream("GET", f"/v1/videos/{video['id']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = _events(answer)
        assert next(events)["status"] == "queued"
        claim = worker.claim()
        worker.queue.heartbeat(claim, Progress("sample", step=5, steps=50))
        assert next(event for event in events if event["progress"] == 10)["status"] == "in_progress"
        worker.finish(claim)
        assert [event["status"] for event in events] == ["completed"]


def _events(answer: httpx.Response) -> Iterator[dict[str, object]]:
    lines = (line for line in answer.iter_lines() if line)
    return (json.loads(line.removeprefix("data: ")) for line in lines)


@pytest.mark.parametrize("probe", ["/healthz", "/readyz"])
def test_probes_may_ask_for_the_status_alone(http: httpx.Client, probe: str):
    assert (http.head(probe).status_code, http.head(probe).content) == (200, b"")


def test_the_fleet_says_what_waits(http: httpx.Client, worker: HandWorker):
    for _ in range(3):
        http.post("/v1/videos", json=SHIP).raise_for_status()
    worker.claim()
    depth = http.get("/v1/fleet").json()["queues"]["shapes"]
    assert (depth["queued"], depth["running"], depth["submitted"]) == (2, 1, 3)


def test_metrics_speak_of_routes_and_never_of_ids(redis_url: str, store_url: str):
    with serving(open_app(redis_url, store_url)) as url:
        video = httpx.post(f"{url}/v1/videos", json=SHIP).json()
        httpx.get(f"{url}/v1/videos/{video['id']}")
        httpx.get(f"{url}/nowhere/at-all")
        text = httpx.get(f"{url}/metrics").text
    assert 'fastflow_http_requests_total{method="GET",route="/v1/videos/{video_id}",status="200"} 1.0' in text
    assert 'fastflow_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
    assert 'fastflow_jobs_submitted_total{model="shapes",outcome="accepted"} 1.0' in text
    assert video["id"] not in text


def test_a_failure_that_nobody_expected_is_counted_too(redis_url: str, store_url: str, closed_after: ClosedAfter):
    closed_after(StatisticsStore(redis_url, "shapes")).save({"shapes@1": "damaged"}, "w1", 1, "0")
    with serving(open_app(redis_url, store_url)) as url:
        error_of(httpx.get(f"{url}/v1/policy"), 500)
        text = httpx.get(f"{url}/metrics").text
    assert 'fastflow_http_requests_total{method="GET",route="/v1/policy",status="500"} 1.0' in text


def test_a_method_that_a_client_makes_up_makes_no_series(redis_url: str, store_url: str):
    """Whoever may ask, with a key or without one, may invent as many as he likes."""
    with serving(open_app(redis_url, store_url), http="h11") as url:
        for method in ("BREW", "WHISK"):
            error_of(httpx.request(method, f"{url}/v1/videos"), 405)
        text = httpx.get(f"{url}/metrics").text
    assert 'fastflow_http_requests_total{method="other",route="/v1/videos",status="405"} 2.0' in text
    assert "BREW" not in text


class TestKey:
    @pytest.fixture
    def guarded(self, redis_url: str, store_url: str) -> Iterator[httpx.Client]:
        with serving(open_app(redis_url, store_url, "sesame")) as url, httpx.Client(base_url=url) as client:
            yield client

    @pytest.mark.parametrize("sent", [None, "", "Bearer", "Bearer open", "sesame", "Bearer sesamé", "bearer sesame"])
    def test_without_it_nothing_is_said(self, guarded: httpx.Client, sent: str | None):
        headers = {} if sent is None else {"Authorization": sent.encode()}
        for path in ("/v1/videos", "/v1/fleet", "/v1/policy", "/v1/models", "/v1/videos/x/content"):
            error = error_of(guarded.get(path, headers=headers), 401)
            assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")

    def test_with_it_all_is(self, guarded: httpx.Client):
        guarded.get("/v1/videos", headers={"Authorization": "Bearer sesame"}).raise_for_status()

    def test_probes_need_none(self, guarded: httpx.Client):
        assert guarded.get("/healthz").status_code == guarded.get("/readyz").status_code == 200


def test_what_was_learnt_is_passed_on_as_it_is_kept(http: httpx.Client, redis_url: str, closed_after: ClosedAfter):
    learnt = Statistics()
    learnt.table("shapes@1", steps=4, arms=(0, 2), grid="g").update(1, 2, 0.5)
    learnt.trajectory("shapes@1", steps=2, grid="g").add_run(np.eye(2))
    closed_after(StatisticsStore(redis_url, "shapes")).save({"shapes@1": learnt.to_json()}, "w1", 1, "0")
    models = http.get("/v1/policy").json()["models"]
    assert models["shapes"]["arms"]["shapes@1"]["pulls"] == [[0, 0], [0, 1], [0, 0], [0, 0]]
    assert models["shapes"]["trajectories"]["shapes@1"]["products"] == [1, 0, 1]
    assert models["hunyuanvideo"] == {"arms": {}, "trajectories": {}}
