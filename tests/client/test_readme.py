"""What the documents say can be typed does what they say, and what they point at is there."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_fleet import VIDEO, Answer, Fleet

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "k8s" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def lines_with(word: str) -> str:
    """The one Python example in which the word stands."""
    (lines,) = [block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if word in block]
    return str(lines)


def test_the_six_lines_bring_a_video_home(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = lines_with("Client(")
    for place, here in (("redis://127.0.0.1:6379/0", fleet.redis_url), ("s3://my-videos/clips", fleet.store_url)):
        assert place in lines
        lines = lines.replace(place, here)
    monkeypatch.chdir(tmp_path)
    worker = threading.Thread(target=fleet.work)
    worker.start()
    exec(lines, {})
    worker.join()
    assert (tmp_path / "circle.mp4").read_bytes() == VIDEO


@pytest.mark.timeout(300)  # five videos by the embedded model, on a machine that may be busy
def test_the_pipeline_learns_to_skip(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(lines_with("WanPipeline"), {})
    told = re.findall(r"(\d+) network evaluations, (\d+) steps skipped", capsys.readouterr().out)
    first, *others = [(int(made), int(skipped)) for made, skipped in told]
    assert first == (100, 0)
    assert len(others) == 4
    assert all(made == 100 - 2 * skipped < 100 for made, skipped in others)


def test_the_sampler_learns_and_audits(capsys: pytest.CaptureFixture[str]) -> None:
    exec(lines_with("flow_sigmas"), {})
    first, *audited, last = map(int, re.findall(r"(\d+) evaluations of the network", capsys.readouterr().out))
    assert (first, last) == (50, 19)
    assert all(nfe >= 19 + 50 for nfe in audited)
    added = [(nfe - 19 - 50) % 19 for nfe in audited]
    assert sorted(added)[-2:] in ([0, 0], [0, 1], [0, 2]), "in one job at most errors left their band, two at most"


def test_every_command_it_names_exists(command: Callable[..., Answer]) -> None:
    named = set(re.findall(r"`fastflow-ray (\w+)", README))
    assert {"generate", "up", "submit", "serve", "policy"} <= named
    listed = re.findall(r"│ (\w+) ", command("--help").out)
    assert named <= set(listed)


def test_the_openai_package_it_names_is_the_one_that_is_tested() -> None:
    (told,) = re.findall(r"real `openai` package\n\(tested with ([\d.]+),", README)
    assert f"openai=={told}" in (ROOT / "constraints.txt").read_text().splitlines()


def test_curl_writes_no_error_into_a_video() -> None:
    lines = [line for line in README.splitlines() if line.startswith("$ curl") and " -o " in line]
    assert lines
    assert all(" -fL " in line for line in lines)


def test_every_make_target_it_names_exists() -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = {name for path in DOCUMENTS for name in re.findall(r"`make ([\w-]+)|^\$ make ([\w-]+)", path.read_text())}
    assert {word for pair in named for word in pair if word} <= set(targets)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
