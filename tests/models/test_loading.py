"""Loading: by name, by folder, and one clear line when it cannot be."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fastapi import FastAPI, Response
from live_server import serving

from fastflow_ray.errors import DeviceLost, ModelLoadFailed, UnknownModel
from fastflow_ray.models.catalogue import catalogue
from fastflow_ray.models.device import is_gone
from fastflow_ray.models.diffusers_engine import DiffusersEngine
from fastflow_ray.models.loading import load_engine
from fastflow_ray.models.revision import SAMPLE_BYTES, WHOLE_BYTES, weights_revision


def test_a_folder_is_a_model_whose_card_is_its_pipelines_own(engine: DiffusersEngine) -> None:
    card = engine.card
    assert (engine.model, card.shift, card.steps, card.guidance) == ("small", 3.0, 50, 5.0)
    assert (card.width, card.height, card.frames, card.max_sequence_length) == (832, 480, 81, 512)


def test_the_engine_says_what_made_its_frames(engine: DiffusersEngine) -> None:
    assert engine.versions["torch"] == torch.__version__
    assert engine.versions["device"].startswith("cpu (")
    assert {"fastflow_ray", "diffusers", "transformers", "python"} < set(engine.versions)


@pytest.mark.parametrize("word", ["shapez", ""])
def test_a_word_that_is_no_model_is_refused_with_the_names_there_are(word: str) -> None:
    with pytest.raises(UnknownModel, match=rf"no model named '{word}'; there are: .*shapes"):
        load_engine(word)


@pytest.mark.parametrize("place", ["/nope/x", "./nope", "~/nope", "nope/deep/down", "nope/"])
def test_a_folder_that_does_not_exist_is_the_askers_mistake(place: str) -> None:
    with pytest.raises(
        UnknownModel, match=rf"no model in {place}: there is no such folder; name a folder .*shapes"
    ) as caught:
        load_engine(place, device="cpu")
    assert "\n" not in str(caught.value)
    assert "network" not in str(caught.value)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_without_the_hub_a_model_that_is_not_here_is_told_as_that(
    offline: None, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        UnknownModel,
        match=r"^no model in nope/x: there is no such folder, it was not fetched before, and the hub could not be"
        r" asked: Cannot reach .*offline mode.*; name a folder in diffusers' format, .*shapes",
    ):
        load_engine("nope/x", device="cpu")
    assert capfd.readouterr().err == ""


def test_a_model_of_the_catalogue_that_cannot_be_fetched_is_nobodys_mistake(
    offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(catalogue(), "far", replace(catalogue()["shapes"], source="nope/x"))
    with pytest.raises(ModelLoadFailed, match="from nope/x: it was not fetched before, and the hub could not be asked"):
        load_engine("far", device="cpu")


def test_a_model_that_the_hub_has_not_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FastAPI()

    @hub.get("/{path:path}")
    def refuse(path: str) -> Response:
        return Response(status_code=404, headers={"X-Error-Code": "RepoNotFound"})

    with serving(hub) as url:
        monkeypatch.setattr("huggingface_hub.hf_api.api.endpoint", url)
        with pytest.raises(UnknownModel, match="the hub has none of that name") as caught:
            load_engine("nope/x", device="cpu")
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_pipeline_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadFailed, match=r"cannot load the model .*give a folder in diffusers' format") as caught:
        load_engine(str(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "missing", "config"])
def test_damaged_weights_are_refused_in_one_line(small_checkpoint: Path, tmp_path: Path, damage: str) -> None:
    folder = Path(shutil.copytree(small_checkpoint, tmp_path / "damaged"))
    weights = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    match damage:
        case "cut":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "missing":
            weights.unlink()
        case "config":
            (folder / "vae" / "config.json").write_text("{")
    with pytest.raises(ModelLoadFailed, match="cannot load the model") as caught:
        load_engine(str(folder), device="cpu")
    assert "\n" not in str(caught.value)


def test_the_revision_is_the_content_and_not_the_place(small_checkpoint: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(small_checkpoint, tmp_path / "elsewhere"))
    (copy / "README.md").write_text("a report beside the weights changes no video")
    assert weights_revision(copy) == weights_revision(small_checkpoint)


@pytest.mark.parametrize("part", ["model_index.json", "vae/config.json", "text_encoder/model.safetensors"])
def test_one_byte_makes_another_revision(small_checkpoint: Path, tmp_path: Path, part: str) -> None:
    copy = Path(shutil.copytree(small_checkpoint, tmp_path / "changed"))
    content = (copy / part).read_bytes()
    (copy / part).write_bytes(content[:-1] + b" " if part.endswith("json") else content[:-1] + b"\x01")
    if part == "model_index.json":
        (copy / part).write_bytes(content + b"\n")
    assert weights_revision(copy) != weights_revision(small_checkpoint)


def test_large_files_are_told_apart_by_samples_from_end_to_end(small_checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_checkpoint, tmp_path / "large"))
    size = 4 * WHOLE_BYTES
    revisions = set()
    for place in (None, 0, size // 63, size - SAMPLE_BYTES, size - 1):
        with (folder / "transformer" / "more.safetensors").open("wb") as file:
            file.truncate(size)  # a hole on the disk: reads as zeros, takes no space
            if place is not None:
                file.seek(place)
                file.write(b"\x01")
        revisions.add(weights_revision(folder))
    assert len(revisions) == 5


def test_a_device_that_computes_nothing_is_no_fault_of_the_model(
    small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastflow_ray.models.loading.is_lost", lambda device: device == torch.device("cpu"))
    monkeypatch.setattr("fastflow_ray.models.loading._versions", broken)
    with pytest.raises(DeviceLost, match=r"^cpu computes nothing: unspecified launch failure; go on on another device"):
        load_engine(str(small_checkpoint), device="cpu")


def broken(device: str) -> dict[str, str]:
    raise RuntimeError("unspecified launch failure")


def test_a_gpu_is_gone_where_the_driver_shows_one_and_cuda_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not is_gone(tmp_path), "a machine without any"
    (tmp_path / "nvidia0").touch()
    assert is_gone(tmp_path)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert not is_gone(tmp_path), "a torch for CPUs alone"
