"""What several rooms test with."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import redis
from leaks import ClosedAfter, without_finalisers
from redis.connection import AbstractConnection
from s3_server import s3_server

# Begun in the background of a script, tests and what they start would ignore Ctrl-C and wait for what never comes.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Ray starts its workers at niceness 15: beside another busy process, such as the other half of this suite, they would
# get a thirtieth of a core, and load for two minutes instead of four seconds.
os.environ.setdefault("RAY_worker_niceness", "0")

without_finalisers(redis.Redis, AbstractConnection)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_open_by_the_session() -> Iterator[None]:
    """Set up first and torn down last: what the session's fixtures forgot fails its last test."""
    yield
    gc.unfreeze()
    gc.collect()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open_by_the_module() -> Iterator[None]:
    """What a module forgot to close is an error of its last test, and not of the run after all tests have passed."""
    gc.freeze()  # what there was before is not looked at again: with torch in it, that would take 0.3 s per module
    yield
    gc.collect()


@pytest.fixture
def closed_after() -> Iterator[ClosedAfter]:
    """`closed_after(queue)` is the queue, which is closed when the test is over."""
    with ExitStack() as opened:
        yield lambda one: opened.enter_context(closing(one))


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One S3 server for the whole session; each test takes a place of its own in its bucket."""
    with s3_server(tmp_path_factory.mktemp("s3")) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Wan pipeline with random weights: a step of 32x16x5 takes a few milliseconds."""
    import torch
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline, WanTransformer3DModel
    from transformers import ByT5Tokenizer, UMT5Config, UMT5EncoderModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    text = UMT5Config(vocab_size=384, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4)
    folder = tmp_path_factory.mktemp("checkpoints") / "small"
    WanPipeline(
        tokenizer=ByT5Tokenizer(),
        text_encoder=UMT5EncoderModel(text),
        vae=AutoencoderKLWan(
            base_dim=16, z_dim=16, dim_mult=[1, 2, 2, 2], num_res_blocks=1, temperal_downsample=[False, True, True]
        ),
        transformer=WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=24, text_dim=64, freq_dim=32, ffn_dim=64, num_layers=2
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    ).save_pretrained(folder)
    return folder
