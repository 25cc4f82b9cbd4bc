"""``cityframe question`` as people and programs call it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from cityframe.cli import main

MORE = {"cycles/monthly.yaml": "packages: {full: false, change: false}\n"}
WHO = ("--by", "li", "--reason", "seen in the field")


def deliver(root: Path, places: Sequence[int]) -> None:
    squares = [shapely.box(500000 + x, 3400000, 500020 + x, 3400020) for x in places]
    frame = gpd.GeoDataFrame({"DJH": ["a", "b"]}, geometry=squares, crs="EPSG:4547")
    (root / "parcels.gpkg").unlink(missing_ok=True)
    frame.to_file(root / "parcels.gpkg", driver="GPKG")


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], declare: Any) -> Any:
    """Return a function that runs a command in a workspace with a question in review."""
    declare(tmp_path, MORE)

    def run(*arguments: str, code: int = 0, output: str = "json") -> Any:
        command = ["--workspace", str(tmp_path), "--output", output, *arguments]
        assert main(command) == code
        said = capsys.readouterr().out
        return json.loads(said) if output == "json" else said

    deliver(tmp_path, (0, 20))
    run("pull", "cadastre", "--at", "2026-01-01")
    run("cycle", "run", "monthly", "--approve", "li", "--reason", "ok")
    # `b` is a kilometre away, and `a` has changed a little
    deliver(tmp_path, (2, 1020))
    run("pull", "cadastre", "--at", "2026-02-01")
    run("cycle", "run", "monthly", code=4)
    return run


def test_a_question_is_listed_shown_answered_and_asked_again(run: Any) -> None:
    (listed,) = run("question", "list", "--open", "--layer", "parcels")["questions"]
    question = listed["question"]
    assert (listed["kind"], listed["status"], listed["answer"]) == ("implausible", "open", None)
    assert run("question", "list", "--answered") == {"questions": []}
    shown = run("question", "show", question[:4])
    (candidate,) = shown["asked"][0]["candidates"]
    assert candidate["evidence"]["distance_m"] == 1000
    done = run("question", "answer", question, "same", candidate["uid"], *WHO)
    assert (done["action"], done["effect"], done["cycles"]) == (
        "same",
        "reviewed",
        ["monthly-0002"],
    )
    assert run("question", "list", "--open") == {"questions": []}
    (answered,) = run("question", "list", "--cycle", "monthly", "--answered")["questions"]
    assert answered["answer"]["why"] == "seen in the field"
    taken = run("question", "answer", question, "--withdraw", *WHO)
    assert taken["id"] == done["id"]
    assert [one["question"] for one in run("question", "list")["questions"]] == [question]


def test_people_see_record_and_candidates_side_by_side(run: Any) -> None:
    listed = run("question", "list", output="text")
    question = listed.splitlines()[1].split()[0]
    assert listed.splitlines()[1].split()[1:6] == ["open", "the", "same", "id,", "elsewhere"]
    shown = run("question", "show", question, output="text")
    lines = shown.splitlines()
    assert lines[0] == f"{question}: the same id, elsewhere (implausible), open"
    assert any("501030.0 3400010.0 (EPSG:4547), longitude 114.0" in line for line in lines)
    assert any(line.startswith("distance of the centres in m") and "1000" in line for line in lines)
    assert any(line.split() == ["number", "b", "b"] for line in lines)
    assert lines[-1] == "answer with same, other; proposed: other"
    said = run("question", "answer", question, "other", *WHO, output="text")
    assert said.startswith(f"question {question} is answered: other; the deliveries were taken in")
    after = run("question", "show", question, output="text").splitlines()
    assert after[-1].endswith(": other (seen in the field)")
    assert run("question", "list", "--open", output="text") == "no question\n"


@pytest.mark.parametrize(
    ("arguments", "code", "found"),
    [
        (("show", "zz"), 2, ""),
        (("show", ""), 2, "no id"),
        (("answer", "zz", "other", *WHO), 2, "no such one"),
        (("answer", "zz", *WHO), 2, "no answer"),
        (("answer", "zz", "other", "--withdraw", *WHO), 2, "both an answer and --withdraw"),
        (("answer", "zz", "other", "--by", "wang", "--reason", "x"), 4, "'wang', who approves"),
        (("answer", "zz", "other", "--by", "li", "--reason", " "), 4, "no reason"),
        (("answer", "zz", "--withdraw", *WHO), 2, "no such one"),
        (("list", "--layer", "roads"), 2, "roads"),
        (("list", "--cycle", "monthly-0009"), 2, "no such cycle or series"),
    ],
)
def test_what_can_not_be_done_says_why(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    declare: Any,
    arguments: tuple[str, ...],
    code: int,
    found: str,
) -> None:
    declare(tmp_path, MORE)
    given = ["--workspace", str(tmp_path), "--output", "json", "question", *arguments]
    assert main(given) == code
    assert found in json.loads(capsys.readouterr().out)["error"]["found"]


def test_an_unknown_answer_is_a_matter_of_usage(tmp_path: Path, declare: Any) -> None:
    declare(tmp_path, MORE)
    with pytest.raises(SystemExit) as stopped:
        main(["--workspace", str(tmp_path), "question", "answer", "zz", "maybe", *WHO])
    assert stopped.value.code == 2
