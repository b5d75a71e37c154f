"""`replay`: the same video again, from the manifest of the first one. Torch is imported only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fastflow_ray.cli import options as given
from fastflow_ray.cli.destination import check_destination
from fastflow_ray.cli.generation_display import shown
from fastflow_ray.cli.local_run import loaded, save_video, told_if_interrupted
from fastflow_ray.cli.options import connect
from fastflow_ray.cli.output import print_json
from fastflow_ray.client import succeeded
from fastflow_ray.display.console import console
from fastflow_ray.errors import InvalidInput
from fastflow_ray.jobs.states import TERMINAL
from fastflow_ray.recipe import Recipe

if TYPE_CHECKING:
    from fastflow_ray.models.engine import Engine

Source = Annotated[str, typer.Argument(metavar="RESULT", help="A manifest, such as result.json, or a job's id.")]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="The mp4, written whole or not at all.")]
OtherPlace = Annotated[
    str | None, typer.Option("--model", help="Where the model is now: a folder or a hub id. Default: its name.")
]
AnyRevision = Annotated[
    bool, typer.Option("--any-revision", help="By other weights too: a similar video instead of the same.")
]


def replay(
    source: Source,
    output: Output,
    model: OtherPlace = None,
    any_revision: AnyRevision = False,
    json: given.AsJson = False,
    redis: given.RedisUrl = None,
    store: given.StoreUrl = None,
    api: given.ApiUrl = None,
) -> None:
    """Make a video again, in this process, by its own seed, numbers and plan, and tell whether the frames are the same.

    They are, bit for bit, on the same kind of machine with the same versions.
    """
    check_destination(output, ".mp4")
    recipe = _recipe(source, redis, store, api)
    with told_if_interrupted():
        report = _make(recipe, output, model, any_revision, console(stderr=True, quiet=json))
    print_json(report) if json else print(_sentence(report))


def _make(recipe: Recipe, output: Path, model: str | None, any_revision: bool, screen: Console) -> dict[str, Any]:
    """Load, generate and save; everything there is to report."""
    spec = recipe.spec()
    engine = loaded(recipe.model if model is None else model, screen)
    if not any_revision:
        _check_revision(recipe, engine)
    from fastflow_ray.fastflow import FastFlow
    from fastflow_ray.media.frames import frames_sha256

    with shown(screen) as on_step:
        made = engine.generate(spec, FastFlow(), on_step)
    save_video(made, spec.fps, output)
    return {
        "path": str(output),
        "same_frames": _same(recipe, sha256 := frames_sha256(made.frames)),
        "frames_sha256": sha256,
        "changed": recipe.changed(dict(engine.versions), engine.revision),
    }


def _recipe(source: str, redis: str | None, store: str | None, api: str | None) -> Recipe:
    path = Path(source)
    if path.is_file():
        return Recipe.read(path.read_bytes())
    if path.suffix or len(path.parts) > 1:
        raise InvalidInput(f"there is no file {source}; give a manifest, such as result.json, or a job's id")
    with connect(redis, store, api) as fleet:
        record = fleet.job(source).status()
    if record.state not in TERMINAL:
        raise InvalidInput(f"job {source} is {record.state}, there is no video yet; wait for it first")
    return Recipe.read(succeeded(record).result)


def _check_revision(recipe: Recipe, engine: Engine) -> None:
    if engine.revision != recipe.revision:
        raise InvalidInput(
            f"the video was made by revision {recipe.revision} of {recipe.model}, this is {engine.revision};"
            " say with --model where the other is, or make a similar video with --any-revision"
        )


def _same(recipe: Recipe, sha256: str) -> bool | None:
    """None where the manifest does not say what the frames were."""
    return None if recipe.frames_sha256 is None else sha256 == recipe.frames_sha256


def _sentence(report: dict[str, Any]) -> str:
    match report["same_frames"]:
        case True:
            said = "the same frames, bit for bit"
        case None:
            said = "the manifest does not say whether the frames are the same"
        case _:
            said = f"other frames; changed since: {', '.join(report['changed']) or 'nothing that was recorded'}"
    return f"{report['path']}  {said}"
