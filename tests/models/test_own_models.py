"""Models of an operator's own: what the file may say, what it is refused for, and who reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fastflow_ray.environment import MODELS
from fastflow_ray.errors import BeyondModel, InvalidInput, UnknownModel
from fastflow_ray.jobs.video_job import VideoJob
from fastflow_ray.models.admission import admit, relative_work
from fastflow_ray.models.card import ModelCard
from fastflow_ray.models.catalogue import BUILT_IN, catalogue, check_folders, model_card, models_to_serve, own_cards
from fastflow_ray.models.loading import load_engine

ALL_SAID = """
[ours]
source = "acme/ours"
width = 640
height = 352
frames = 49
fps = 24
steps = 30
guidance = 6
shift = 4.5
max_sequence_length = 256
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the environment names; a test writes it before it asks for the catalogue, which reads it once."""
    file = tmp_path / "models.toml"
    monkeypatch.setenv(MODELS, str(file))
    return file


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_file_there_is_what_comes_with_the_package(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MODELS, raising=False) if value is None else monkeypatch.setenv(MODELS, value)
    assert list(catalogue()) == ["shapes", "wan2.1-t2v-1.3b", "wan2.1-t2v-14b", "wan2.2-t2v-a14b", "hunyuanvideo"]
    assert own_cards(catalogue()) == ()


def test_a_model_that_says_all_is_what_it_says(file: Path) -> None:
    file.write_text(ALL_SAID)
    assert model_card("ours") == ModelCard("ours", "acme/ours", 640, 352, 49, 24, 30, 6.0, 4.5, 256)
    assert list(catalogue()) == [*BUILT_IN, "ours"]


def test_what_is_left_out_is_as_of_the_model_it_is_like(file: Path) -> None:
    file.write_text(
        '["wan2.1-ours"]\nsource = "/models/ours"\nlike = "shapes"\nsteps = 30\n'
        'dtype = "bfloat16"\nlongest_side = 512\n'
        '[newer]\nsource = "./newer"\nlike = "wan2.1-ours"\nshift = 5.0\n'
    )
    ours = replace(BUILT_IN["shapes"], name="wan2.1-ours", source="/models/ours", steps=30, dtype="bfloat16")
    ours = replace(ours, longest_side=512)
    assert catalogue()["wan2.1-ours"] == ours
    assert catalogue()["newer"] == replace(ours, name="newer", source=str(file.parent / "newer"), shift=5.0)


def test_jobs_are_held_against_its_numbers(file: Path) -> None:
    file.write_text(ALL_SAID + "longest_side = 640\nmost_frames = 97\n")
    assert relative_work(VideoJob(prompt="x", model="ours", frames=49, steps=60)) == pytest.approx(2.0)
    with pytest.raises(BeyondModel, match="width: too large for ours; at most 640"):
        admit(VideoJob(prompt="x", model="ours", width=656))
    assert models_to_serve(["ours", "shapes", "ours"]) == ("ours", "shapes")
    assert own_cards(["ours", "shapes"]) == (catalogue()["ours"],)


LIKE = '[ours]\nsource = "a/b"\nlike = "shapes"\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[ours\n", "cannot read the models of {file}: Expected ']'"),
        (LIKE + LIKE, "cannot read the models of {file}: Cannot declare ('ours',) twice (at line 4"),
        ('[ours]\nlike = "shapes"\n', "{file}: ours: source: missing; name a folder"),
        ('[ours]\nsource = "weights"\n', "{file}: ours: source: neither a folder, which begins with /"),
        ('[ours]\nsource = "~/weights"\n', "{file}: ours: source: neither a folder, which begins with /"),
        ('[ours]\nsource = "a/b"\nfps = 24\n', "{file}: ours: width, height, frames, steps, guidance, shift, max_seq"),
        ('[ours]\nsource = "a/b"\nlike = "theirs"\n', "{file}: ours: like: no model 'theirs' here or above; there are"),
        (LIKE + "widht = 64\n", "{file}: ours: 'widht': no such field; did you mean width?"),
        (LIKE + 'name = "mine"\n', "{file}: ours: 'name': no such field"),
        (
            LIKE + "width = 0\nframes = 16\n",
            "{file}: ours: width: too small; at least 16; frames: 16 frames cannot be decoded; use 4k+1",
        ),
        (LIKE + "height = 40\n", "{file}: ours: height: 40 px is not a multiple of 16; use 32 or 48"),
        (LIKE + 'steps = "50"\n', "{file}: ours: steps: must be a whole number"),
        (LIKE + "fps = true\n", "{file}: ours: fps: must be a whole number"),
        (LIKE + "shift = nan\n", "{file}: ours: shift: must be a finite number"),
        (LIKE + 'dtype = "int8"\n', "{file}: ours: dtype: must be 'bfloat16', 'float16' or 'float32'"),
        (LIKE + "width = 1280\n", "{file}: ours: width: 1280 is above longest_side, 1024; raise that or lower this"),
        (LIKE + "most_frames = 5\n", "{file}: ours: frames: 17 is above most_frames, 5; raise that or lower this"),
        ('[shapes]\nsource = "a/b"\n', "{file}: shapes: comes with fastflow-ray and means the same everywhere"),
        ('["a:{b}"]\nsource = "a/b"\n', "{file}: 'a:{{b}}' cannot name a model; use 1 to 64 small English letters"),
        ('["two words"]\nsource = "a/b"\n', "{file}: 'two words' cannot name a model"),
        (f'[{"a" * 65}]\nsource = "a/b"\n', "{file}: '" + "a" * 65 + "' cannot name a model"),
        ('["line\\n"]\nsource = "a/b"\n', r"{file}: 'line\n' cannot name a model"),
        ('[wan2.1-ours.v2]\nsource = "a/b"\n', "{file}: wan2: is a part of a name; put a name with dots in quotes"),
        ('source = "a/b"\n', "{file}: source: is no table; what is said of a model stands below a line with its"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_model_and_field(text: str, complaint: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        catalogue()
    assert str(refused.value).startswith(complaint.format(file=file))
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_name_that_was_cut_at_its_dots_is_told_whole(file: Path) -> None:
    file.write_text('[wan2.1-ours.v2]\nsource = "a/b"\n')
    with pytest.raises(InvalidInput, match=r'put a name with dots in quotes: \["wan2\.1-ours\.v2"\]$'):
        catalogue()


def test_a_file_that_cannot_be_read_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match=rf"cannot read the models of {file}: No such file or directory; correct"):
        catalogue()
    monkeypatch.setenv(MODELS, str(file.parent))
    with pytest.raises(InvalidInput, match=rf"cannot read the models of {file.parent}: Is a directory; correct"):
        catalogue()
    file.write_bytes(b"[ours]\n# \xff\n")
    monkeypatch.setenv(MODELS, str(file))
    with pytest.raises(InvalidInput, match=rf"cannot read the models of {file}: 'utf-8' codec can't decode"):
        catalogue()


def test_a_folder_is_missed_only_where_it_is_to_be_loaded(file: Path, small_checkpoint: Path) -> None:
    file.write_text(
        f'[gone]\nsource = "./gone"\nlike = "shapes"\n[here]\nsource = "{small_checkpoint}"\nlike = "shapes"\n'
        '[hub]\nsource = "a/b"\nlike = "shapes"\n'
    )
    assert models_to_serve(["gone"]) == ("gone",)
    check_folders(["shapes", "here", "hub"])
    with pytest.raises(InvalidInput, match=rf"^{file}: gone: source: there is no folder .*/gone on this machine$"):
        check_folders(["here", "gone"])


def test_who_asks_for_a_model_that_is_none_is_told_where_to_add_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(ALL_SAID)
    with pytest.raises(UnknownModel, match=rf"no model named 'theirs'; there are: .*, ours, .*; add it to {file}$"):
        model_card("theirs")
    monkeypatch.delenv(MODELS)
    with pytest.raises(
        UnknownModel, match=r"no model named 'ours'; .*; a file that FASTFLOW_MODELS names may add more"
    ):
        model_card("ours")


def test_its_engine_has_its_name_and_its_numbers(file: Path, small_checkpoint: Path) -> None:
    file.write_text(f'[ours]\nsource = "{small_checkpoint}"\nlike = "shapes"\nsteps = 6\n')
    for ours in ("ours", catalogue()["ours"]):
        engine = load_engine(ours, device="cpu")
        assert (engine.model, engine.card) == ("ours", catalogue()["ours"])
        assert engine.pipe.transformer.dtype.itemsize == 4, "shapes is of float32"


def test_a_card_is_loaded_without_the_file(file: Path, small_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = replace(BUILT_IN["shapes"], name="ours", source=str(small_checkpoint))
    assert not file.exists()
    assert load_engine(card, device="cpu").model == "ours"
    assert load_engine("shapes", device="cpu").model == "shapes"


def test_a_client_that_reads_the_file_imports_no_torch(file: Path) -> None:
    file.write_text(ALL_SAID)
    asks = (
        "import json, sys; from fastflow_ray.client import Client; from fastflow_ray.models.catalogue import catalogue;"
        "print(json.dumps([sorted(catalogue()), sorted({'torch', 'diffusers', 'ray'} & set(sys.modules))]))"
    )
    told = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)
    names, imported = json.loads(told.stdout)
    assert "ours" in names
    assert imported == []
