"""What `/openapi.json` says of requests and answers, held against requests and answers."""

from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from orchestration.api.create_request import FIELD_NAMES

SHIP = {"prompt": "a ship", "size": "64x64", "seconds": "4", "seed": 7, "lane": "batch", "preset": "fast"}


@pytest.fixture
def paths(http: httpx.Client) -> dict[str, Any]:
    return http.get("/openapi.json").raise_for_status().json()["paths"]


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data", "application/x-www-form-urlencoded"])
def test_every_field_of_a_video_is_described(paths: dict[str, Any], media_type: str):
    schema = paths["/v1/videos"]["post"]["requestBody"]["content"][media_type]["schema"]
    assert set(schema["properties"]) == {*FIELD_NAMES, "size", "seconds", "extra_body"}
    assert "$ref" not in str(schema)


@pytest.mark.parametrize(
    ("changed", "status"),
    [({}, 200), ({"seed": -1}, 400), ({"prompt": None}, 400), ({"size": "big"}, 400), ({"lane": "fast"}, 400)],
)
def test_what_fits_the_description_is_taken_and_what_does_not_is_refused(
    http: httpx.Client, paths: dict[str, Any], changed: dict[str, object], status: int
):
    operation, body = paths["/v1/videos"]["post"], SHIP | changed
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert Draft202012Validator(schema).is_valid(body) is (status == 200)
    answer = http.post("/v1/videos", json=body)
    assert answer.status_code == status
    described = operation["responses"]["200" if status == 200 else "default"]
    Draft202012Validator(described["content"]["application/json"]["schema"]).validate(answer.json())


def test_every_route_that_refuses_says_in_which_shape(http: httpx.Client, paths: dict[str, Any]):
    routes = [route for path, route in paths.items() if path.startswith("/v1/")]
    answers = [operation["responses"] for route in routes for operation in route.values()]
    assert answers
    assert all("default" in responses for responses in answers)
    assert "HTTPValidationError" not in http.get("/openapi.json").text


def test_one_model_is_described(http: httpx.Client, paths: dict[str, Any]):
    described = paths["/v1/models/{model}"]["get"]
    assert [parameter["name"] for parameter in described["parameters"]] == ["model"]
    for model, answer in {"shapes": "200", "nobody": "default"}.items():
        schema = described["responses"][answer]["content"]["application/json"]["schema"]
        Draft202012Validator(schema).validate(http.get(f"/v1/models/{model}").json())


def test_files_and_events_are_no_json(paths: dict[str, Any]):
    content, events = (paths[f"/v1/videos/{{video_id}}/{tail}"]["get"]["responses"] for tail in ("content", "events"))
    assert set(content["200"]["content"]) == {"video/mp4", "image/png"}
    assert set(events["200"]["content"]) == {"text/event-stream"}
