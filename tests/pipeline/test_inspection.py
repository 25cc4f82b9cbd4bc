"""Two checks and one acceptance, from the plan to the approval."""

import csv
import io
import shutil
from pathlib import Path

import geopandas as gpd
import pytest

from cityframe.errors import DeclarationError, GateClosedError, IntegrityError
from cityframe.model.acceptance import Stage
from cityframe.model.cycle import CycleState
from cityframe.pipeline.inspection import (
    inspections,
    plan_inspection,
    record_inspection,
    require_inspected,
    write_inspection_worksheet,
)
from cityframe.pipeline.plan import cycle_state
from cityframe.pipeline.reporting import cycle_report
from cityframe.pipeline.review import approve
from cityframe.pipeline.scores import layer_scores
from cityframe.pipeline.staging import candidate_frames, candidate_of

SCORING = Path(__file__).parents[2] / "quality_rules" / "scoring" / "vector.yaml"
PEOPLE = "inspection: {process_check: [zhang], final_check: [wang], acceptance: [zhao]}\n"


@pytest.fixture
def cycle(town, grid):
    """Return a cycle in review whose series demands all stages; units are squares of 40 m."""
    scoring = town.root / "quality_rules" / "scoring" / "vector.yaml"
    scoring.parent.mkdir()
    text = SCORING.read_text(encoding="utf-8")
    head, _, tail = text.partition("layers: [")
    text = head + "layers: [parcels" + tail[tail.index("]") :]
    scoring.write_text(text.replace("cell_m: 500", "cell_m: 40"), encoding="utf-8")
    series = town.root / "cycles" / "monthly.yaml"
    series.write_text(series.read_text(encoding="utf-8") + PEOPLE, encoding="utf-8")
    town.deliver_parcels(grid[:40])
    outcome = town.run(approve=False)
    assert outcome.state == "in-review"
    return outcome.cycle


@pytest.fixture
def inspect(town, cycle, tmp_path):
    """Return a function that does a stage with defects by class in the first row."""

    def do(stage, who, **defects):
        plan_inspection(town.city, cycle, stage, who=who, seed="7")
        sheet = tmp_path / f"{stage}.csv"
        write_inspection_worksheet(town.city, cycle, stage, sheet)
        fill(sheet, **defects)
        return record_inspection(town.city, cycle, stage, sheet, who=who)

    return do


def fill(sheet, row=1, **cells):
    rows = list(csv.reader(io.StringIO(sheet.read_text(encoding="utf-8-sig"))))
    for name, value in cells.items():
        rows[row][rows[0].index(name)] = str(value)
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    sheet.write_text(text.getvalue(), encoding="utf-8-sig")


def test_approval_waits_for_each_stage(town, cycle, inspect):
    for stage, who in zip(Stage, ("zhang", "wang", "zhao"), strict=True):
        with pytest.raises(GateClosedError, match=f"no result of {stage}"):
            approve(town.city, cycle, who="li", why="fine")
        assert inspect(stage, who).is_passed
    approve(town.city, cycle, who="li", why="fine")
    assert cycle_state(town.city, cycle) is CycleState.APPROVED
    done = inspections(town.city, cycle)
    assert [(one.stage, one.who) for one in done] == list(
        zip(Stage, ("zhang", "wang", "zhao"), strict=True)
    )


def test_a_sample_is_drawn_for_acceptance_only_and_can_be_drawn_again(town, cycle, inspect):
    inspect(Stage.PROCESS_CHECK, "zhang")
    inspect(Stage.FINAL_CHECK, "wang")
    accepted = inspect(Stage.ACCEPTANCE, "zhao")
    checked = inspections(town.city, cycle)[0]
    assert len(checked.lots["vector-all"]) == checked.units > 3
    assert len(accepted.lots["vector-1"]) == 3
    assert accepted.seed == "7"


def test_a_severe_defect_fails_the_stage_and_holds_the_approval(town, cycle, inspect):
    done = inspect(Stage.PROCESS_CHECK, "zhang", A=1)
    assert not done.is_passed
    assert len(done.failed) == 1
    with pytest.raises(
        GateClosedError,
        match=r"process-check failed: parcels e\S+ \(class-a, element:completeness\)",
    ):
        approve(town.city, cycle, who="li", why="fine")
    with pytest.raises(GateClosedError, match="before process-check has passed"):
        plan_inspection(town.city, cycle, Stage.FINAL_CHECK, who="wang")


def test_slight_defects_lower_the_score(inspect):
    clean = 100.0
    done = inspect(Stage.PROCESS_CHECK, "zhang", D=3)
    assert done.is_passed
    assert clean - 1 < done.score < clean


def test_who_may_do_a_stage(town, cycle, inspect):
    with pytest.raises(DeclarationError, match="'li' does not do process-check"):
        plan_inspection(town.city, cycle, Stage.PROCESS_CHECK, who="li")
    series = town.root / "cycles" / "monthly.yaml"
    text = series.read_text(encoding="utf-8").replace("[wang]", "[wang, zhang]")
    series.write_text(text, encoding="utf-8")
    inspect(Stage.PROCESS_CHECK, "zhang")
    with pytest.raises(GateClosedError, match="zhang did process-check of this candidate"):
        plan_inspection(town.city, cycle, Stage.FINAL_CHECK, who="zhang")


def test_a_worksheet_is_needed_and_one_result_stands(town, cycle, inspect, tmp_path):
    with pytest.raises(GateClosedError, match="not planned"):
        record_inspection(town.city, cycle, Stage.PROCESS_CHECK, tmp_path / "none.csv", who="zhang")
    inspect(Stage.PROCESS_CHECK, "zhang")
    with pytest.raises(GateClosedError, match="has its result, by zhang"):
        record_inspection(
            town.city, cycle, Stage.PROCESS_CHECK, tmp_path / "process-check.csv", who="zhang"
        )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows[2].__setitem__(7, "few"), r"\.csv:3: 'few' defects of class B"),
        (lambda rows: rows[2].__setitem__(8, "-1"), r"\.csv:3: '-1' defects of class C"),
        (lambda rows: rows.pop(4), "no row for vector-all parcels"),
        (lambda rows: rows.append(rows[1]), "twice"),
        (lambda rows: rows[1].__setitem__(2, "e9-n9"), r"\.csv:2: .*which was not drawn"),
        (lambda rows: rows[0].pop(), r"\.csv:1: columns"),
        (lambda rows: rows[3].extend(["a", "b"]), r"\.csv:4: 13 cells"),
    ],
)
def test_a_spoilt_worksheet_is_refused_and_nothing_noted(town, cycle, tmp_path, spoil, said):
    plan_inspection(town.city, cycle, Stage.PROCESS_CHECK, who="zhang")
    sheet = tmp_path / "sheet.csv"
    write_inspection_worksheet(town.city, cycle, Stage.PROCESS_CHECK, sheet)
    rows = list(csv.reader(io.StringIO(sheet.read_text(encoding="utf-8-sig"))))
    spoil(rows)
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    sheet.write_text(text.getvalue(), encoding="utf-8-sig")
    with pytest.raises(DeclarationError, match=said):
        record_inspection(town.city, cycle, Stage.PROCESS_CHECK, sheet, who="zhang")
    assert inspections(town.city, cycle)[0].is_passed is None


def test_a_lost_file_and_an_unknown_cycle_are_the_callers_mistake(town, cycle, tmp_path):
    plan_inspection(town.city, cycle, Stage.PROCESS_CHECK, who="zhang")
    with pytest.raises(DeclarationError, match="no file that can be read"):
        record_inspection(town.city, cycle, Stage.PROCESS_CHECK, tmp_path / "no.csv", who="zhang")
    with pytest.raises(DeclarationError, match="no cycle 'monthly-0099'"):
        inspections(town.city, "monthly-0099")


def test_approval_scores_the_recorded_worksheets_again(town, cycle, inspect):
    for stage, who in zip(Stage, ("zhang", "wang", "zhao"), strict=True):
        inspect(stage, who)
    check = town.city.cycle_folder(cycle) / "candidate" / "parcels.findings.parquet"
    found = gpd.read_parquet(check)
    place = candidate_frames(town.city, candidate_of(town.city, cycle))("parcels").geometry.iloc[:1]
    severe = found.reindex([0]).assign(
        rule="parcels.overlap", defect_class="A", waiver="", geometry=place.to_numpy()
    )
    severe.set_geometry("geometry", crs=place.crs).to_parquet(check)
    with pytest.raises(GateClosedError, match="process-check passed, and by the check of now"):
        require_inspected(town.city, cycle)
    with pytest.raises(GateClosedError, match="findings or report are not those"):
        approve(town.city, cycle, who="li", why="fine")


def test_approval_notices_a_worksheet_that_was_edited_afterwards(town, cycle, inspect):
    inspect(Stage.PROCESS_CHECK, "zhang", D=3)
    kept = town.city.cycle_folder(cycle) / "inspection" / "process-check.csv"
    fill(kept, D="")
    with pytest.raises(IntegrityError, match="another worksheet, expected the one that zhang"):
        approve(town.city, cycle, who="li", why="fine")


def test_scores_are_those_of_the_units_that_change(town, cycle):
    (score,) = layer_scores(town.city, cycle)
    assert (score.layer, score.failed, score.score) == ("parcels", 0, 100.0)
    units = score.units
    shutil.rmtree(town.root / "quality_rules" / "scoring")
    assert units > 3
    assert list(layer_scores(town.city, cycle)) == []


def test_the_report_shows_scores_and_stages(town, cycle, inspect):
    inspect(Stage.PROCESS_CHECK, "zhang", D=3)
    plan_inspection(town.city, cycle, Stage.FINAL_CHECK, who="wang")
    sections = {one.id: one for one in cycle_report(town.city, cycle).sections}
    (row,) = sections["scores"].rows
    assert (row[0].zh, row[3].en) == ("宗地", "100.00")
    first, second = sections["inspection"].rows
    assert [cell.zh for cell in first[:2]] == ["一级检查", "合格"]
    assert [cell.en for cell in second[:2]] == ["final check", "awaited"]
