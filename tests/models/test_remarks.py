"""What a model passes over of a request is told, and nothing else is; the embedded model reads bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from transformers import ByT5Tokenizer

from fastflow_ray.models.engine import GenerationSpec
from fastflow_ray.models.remarks import remarks_on

LONGEST = 32  # a byte each, and one for the end
SPEC = GenerationSpec("a circle", "", 32, 16, 5, 8, 12, 3.0, 3.0, 7)


def remarks(**changes: object) -> tuple[str, ...]:
    return remarks_on(replace(SPEC, **changes), ByT5Tokenizer(), LONGEST)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "heeded",
    [{}, {"prompt": 31 * "x"}, {"negative_prompt": "blurred"}, {"negative_prompt": 31 * "x"}, {"guidance": 1.0}],
)
def test_a_request_that_is_heeded_needs_no_word(heeded: dict[str, object]) -> None:
    assert remarks(**heeded) == ()


def test_a_prompt_that_is_cut_off_tells_where() -> None:
    (said,) = remarks(prompt="a small red circle moving left on a navy background")
    assert said == 'only the first 32 of the prompt\'s 52 tokens were read, up to "…l red circle moving left"'


def test_a_negative_prompt_may_be_cut_off_as_well() -> None:
    (said,) = remarks(negative_prompt=40 * "x")
    assert said.startswith("only the first 32 of the negative prompt's 41 tokens were read")


@pytest.mark.parametrize("guidance", [0.0, 1.0])
def test_a_negative_prompt_steers_nothing_without_guidance(guidance: float) -> None:
    (said,) = remarks(negative_prompt=40 * "x", guidance=guidance)
    assert said == f"the negative prompt has no effect at guidance {guidance:g}; it needs guidance above 1"


class Processor:
    """Of pictures and text, as some pipelines have one in the tokenizer's place: `images` come first."""

    def __call__(self, images: object = None, text: object = None, **told: object) -> None:
        raise ValueError("you need to specify at least one of `text` or `images`")


@pytest.mark.parametrize("other", [None, Processor()])
def test_a_pipeline_without_a_tokenizer_is_not_asked_for_its_tokens(other: object) -> None:
    assert remarks_on(replace(SPEC, prompt=90 * "x"), other, LONGEST) == ()
