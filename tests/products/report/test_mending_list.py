import csv
import io

import pytest
import shapely

from cityframe.products.report.listing import list_findings
from cityframe.products.report.mending_list import mending_csv


def rows_of(sample, findings=None):
    content = mending_csv(
        list_findings(findings or sample.findings, sample.layers, sample.waived),
        sample.report,
        sample.layers,
    )
    assert content.startswith(b"\xef\xbb\xbf"), "spreadsheets need the mark to read UTF-8"
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_one_row_a_finding_most_severe_first(sample):
    (frame,) = sample.findings.values()
    rows = rows_of(sample)
    assert {row["问题编号 Finding"] for row in rows} == set(frame["finding_id"])
    assert len(rows) == len(frame)
    assert [row["关口 Gate"] for row in rows][:1] == ["阻断 block"]
    assert rows[-1]["关口 Gate"] == "提示 note"


def test_row_says_what_to_mend_in_both_languages(sample):
    row = next(one for one in rows_of(sample) if one["Found"] == "diameter_mm is null")
    assert row["实际"] == "diameter_mm 为空"
    assert row["规则 Rule"] == "管径必填 Diameter is given"
    assert row["图层 Layer"] == "供水管线 Water pipes"
    assert row["数据源 Source"] == "自来水公司 Water company"
    assert row["来源编号 Source key"].startswith("JS")


def test_coordinates_are_of_a_point_on_the_place(sample):
    (frame,) = sample.findings.values()
    place = dict(zip(frame["finding_id"], frame.geometry, strict=True))
    for row in rows_of(sample)[::29]:
        shape = place[row["问题编号 Finding"]]
        point = shapely.Point(float(row["东坐标 East (m)"]), float(row["北坐标 North (m)"]))
        assert shape.distance(point) < 0.001
        assert row["坐标系 CRS"] == "EPSG:4547"
        assert 113 < float(row["经度 Longitude"]) < 116
        assert 30 < float(row["纬度 Latitude"]) < 31


def test_finding_without_a_place_has_no_coordinates(sample):
    row = next(one for one in rows_of(sample) if one["规则 Rule"].startswith("记录数"))
    assert row["经度 Longitude"] == row["东坐标 East (m)"] == ""


def test_invalid_shape_has_a_point_too(sample):
    (frame,) = sample.findings.values()
    bow = shapely.Polygon(
        [(528400, 3384200), (528410, 3384210), (528410, 3384200), (528400, 3384210)]
    )
    one = frame.iloc[:1].set_geometry([bow], crs=frame.crs)
    (row,) = rows_of(sample, {"one": one})
    assert (row["东坐标 East (m)"], row["北坐标 North (m)"]) == ("528400.000", "3384200.000")


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-2", "@SUM(A1)", " =1", "\t=1", "＝1"])
def test_text_that_a_spreadsheet_would_calculate_is_kept_a_text(sample, text):
    (frame,) = sample.findings.values()
    (row,) = rows_of(sample, {"one": frame.iloc[:1].assign(found=text, found_zh=text)})
    assert row["Found"] == row["实际"] == f"'{text}"


def test_fixed_findings_are_not_to_be_mended(sample, with_fixed):
    assert len(rows_of(with_fixed)) == len(rows_of(sample))


def test_waived_findings_are_named_as_such(sample):
    rows = {row["问题编号 Finding"]: row["例外编号 Waiver"] for row in rows_of(sample)}
    assert {one for one, waiver in rows.items() if waiver} == set(sample.waived)


def test_no_findings_give_the_titles_alone(sample):
    content = mending_csv(list_findings({}, sample.layers), sample.report, sample.layers)
    assert content.count(b"\r\n") == 1
