"""What a request asks for and its model passes over, in words for whoever asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transformers import PreTrainedTokenizerBase

from fastflow_ray.models.engine import GenerationSpec

LAST_WORDS = 24  # characters shown of the text where it is cut


def remarks_on(spec: GenerationSpec, tokenizer: Any, longest: int) -> tuple[str, ...]:
    """One sentence each; none where all that was asked for is heeded.

    Args:
        spec: what is to be made.
        tokenizer: of the text encoder. Of one that is not transformers' own, a processor say, nothing is remarked, nor
            where the pipeline has none.
        longest: tokens that the text encoder reads of a text.
    """
    return tuple(_remarks(spec, tokenizer, longest))


def _remarks(spec: GenerationSpec, tokenizer: Any, longest: int) -> Iterator[str]:
    steered = spec.guidance > 1
    if isinstance(tokenizer, PreTrainedTokenizerBase):
        yield from _cut("prompt", spec.prompt, tokenizer, longest)
        if steered:
            yield from _cut("negative prompt", spec.negative_prompt, tokenizer, longest)
    if spec.negative_prompt and not steered:
        yield f"the negative prompt has no effect at guidance {spec.guidance:g}; it needs guidance above 1"


def _cut(name: str, text: str, tokenizer: Any, longest: int) -> Iterator[str]:
    """Pipelines of this family cut a text off where the encoder's reading ends, without a word."""
    tokens = len(tokenizer(text, verbose=False).input_ids)
    if tokens > longest:
        read = tokenizer(text, truncation=True, max_length=longest).input_ids
        end = tokenizer.decode(read, skip_special_tokens=True).strip()[-LAST_WORDS:]
        yield f'only the first {longest} of the {name}\'s {tokens} tokens were read, up to "…{end}"'
