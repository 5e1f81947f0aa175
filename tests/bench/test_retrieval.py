"""The retrieval benchmark, on two small sets of its own: every figure that it prints, and what it says of bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parents[2] / "bench" / "retrieval.py"
TOOLS = [
    ("WeatherTool", "Tells the weather of a city.", "weather forecast rain wind"),
    ("PayRoll", "Looks up what an employee earns.", "salary of wage pay"),
    ("photo_finder", "Finds pictures of animals.", "pictures photo cat dog"),
    ("RouteTool", "Plans a route between two places.", "way drive road to"),
    ("PhraseBook", "Translates a sentence into another language.", "translate say French German"),
    ("Kitchen", "Suggests a recipe.", "cook recipe dinner bake"),
]


def make_set(folder: Path) -> None:
    folder.mkdir(parents=True)
    tools = [{"id": name, "name": name, "summary": summary} for name, summary, _ in TOOLS]
    queries = [
        {"query": f"{word} number {turn} please", "relevant": [name]}
        for name, _, words in TOOLS
        for word in words.split()
        for turn in range(4)
    ]
    negatives = [{"query": "what is love"}, {"query": "why did Rome fall"}]
    for name, rows in (("tools", tools), ("queries", queries), ("negatives", negatives)):
        text = "\n".join(json.dumps(row) for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH), "--capabilities", "30", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, encoding="utf-8")


def test_every_set_is_searched_cold_after_use_and_where_nothing_fits(tmp_path: Path) -> None:
    make_set(tmp_path / "small")
    done = bench("--data", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    cold = found["cold"]["small"]
    assert (cold["tools"], cold["queries"]) == (6, 96)
    assert {"metier", "meaning alone", "BM25 alone"} <= set(cold["all"])
    points = found["learning"]["small"]["points"]
    assert points[-1]["metier"]["recall@1"] > max(90, points[0]["metier"]["recall@1"])
    assert found["fit"]["small"]["AUROC, fits or not"] > 0.5
    assert found["speed"]["query, embedding included"] > 0


def test_a_folder_without_sets_is_one_line(tmp_path: Path) -> None:
    done = bench("--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds no folder with tools.jsonl" in done.stderr.splitlines()[-1]
