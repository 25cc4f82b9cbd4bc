from dataclasses import replace
from xml.etree import ElementTree

import owslib.iso3
import pytest
from lxml import etree

from cityframe.model.finding import Measure
from cityframe.model.report import ReportKind
from cityframe.products.report.iso19157 import NAMESPACES, quality_element, quality_xml

# the sequences of the schemas mdb/2.0 and mdq/1.0, as far as a quality report uses them
SEQUENCES = {
    "MD_Metadata": [
        "metadataIdentifier", "defaultLocale", "metadataScope", "contact", "dateInfo",
        "metadataStandard", "otherLocale", "identificationInfo", "dataQualityInfo",
    ],
    "DQ_DataQuality": ["scope", "report"],
    "DQ_MeasureReference": ["measureIdentification", "nameOfMeasure", "measureDescription"],
    "DQ_FullInspection": [
        "dateTime", "evaluationMethodDescription", "evaluationProcedure", "evaluationMethodType",
    ],
    "DQ_QuantitativeResult": ["dateTime", "resultScope", "value", "valueUnit", "valueRecordType"],
    "DQ_ConformanceResult": ["dateTime", "resultScope", "specification", "explanation", "pass"],
    "DQ_DescriptiveResult": ["dateTime", "resultScope", "statement"],
    "MD_Scope": ["level", "extent", "levelDescription"],
    "MD_Identifier": ["authority", "code", "codeSpace"],
    "CI_Citation": ["title", "alternateTitle", "date", "edition", "editionDate", "identifier"],
    "MD_DataIdentification": ["citation", "abstract"],
}  # fmt: skip
ELEMENT = ["standaloneQualityReportDetails", "measure", "evaluationMethod", "result"]


@pytest.fixture
def root(sample):
    return etree.fromstring(quality_xml(sample.report, sample.layers))


def local(element):
    return etree.QName(element).localname


def found(root, path):
    return root.findall(path, NAMESPACES)


def test_reads_back_with_owslib(sample, root):
    metadata = owslib.iso3.MD_Metadata(root)
    assert metadata.identifier == sample.report.id
    assert metadata.languagecode == "zho"
    assert metadata.hierarchy == "dataset"
    assert metadata.contact[0].organization == "江城市滨江区"
    assert metadata.identification[0].title.startswith("江城市滨江区 月度更新")
    assert set(metadata.dataquality.conformancedegree) == {"false"}, "of the first layer"
    assert "土地用途在代码表内" in metadata.dataquality.conformancetitle


def test_elements_stand_in_the_order_of_the_schemas(root):
    checked = 0
    for element in root.iter(etree.Element):
        name = local(element)
        is_report = local(element.getparent()) == "report" if element.getparent() is not None else 0
        sequence = ELEMENT if is_report else SEQUENCES.get(name)
        if sequence:
            places = [sequence.index(local(child)) for child in element]
            assert places == sorted(places), name
            checked += 1
    assert checked > 50


def test_each_result_is_one_element_under_the_scope_of_its_layer(sample, root):
    for quality in found(root, "mdb:dataQualityInfo/mdq:DQ_DataQuality"):
        layer = quality.findtext(
            "mdq:scope/mcc:MD_Scope/mcc:levelDescription/mcc:MD_ScopeDescription/mcc:other/"
            "gco:CharacterString", namespaces=NAMESPACES,
        )  # fmt: skip
        name = next(one for one, each in sample.layers.items() if each.title.zh == layer)
        rules = [one.rule for one in sample.report.results if one.layer == name]
        assert len(found(quality, "mdq:report")) == len(rules)
    assert len(found(root, ".//mdq:report")) == len(sample.report.results)


def test_result_has_count_rate_and_conformance(root):
    overlap = next(
        one
        for one in found(root, ".//mdq:report/mdq:DQ_ConceptualConsistency")
        if one.findtext(".//mcc:MD_Identifier/mcc:code/gco:CharacterString", None, NAMESPACES)
        == "11"
    )
    values = [one.text for one in found(overlap, ".//mdq:value/gco:Record")]
    assert values == ["46", f"{46 / 24816:.8f}"]
    assert overlap.findtext(".//mdq:pass/gco:Boolean", None, NAMESPACES) == "false"
    space = overlap.findtext(".//mcc:codeSpace/gco:CharacterString", None, NAMESPACES)
    assert space == "ISO 19157:2013"


def test_texts_stand_in_both_languages(root):
    text = found(root, ".//mdq:measureDescription")[0]
    assert text.findtext("gco:CharacterString", None, NAMESPACES)
    english = text.find(".//lan:LocalisedCharacterString", NAMESPACES)
    assert english.get("locale") == "#en"
    assert {one.get("id") for one in found(root, ".//lan:PT_Locale")} == {"zh", "en"}


def test_rule_that_could_not_be_checked_passes_and_fails_nothing(root):
    (statement,) = found(root, ".//mdq:statement/gco:CharacterString")
    assert statement.text == "no elevation model covers the district"
    element = statement.getparent().getparent().getparent().getparent()
    assert found(element, ".//mdq:pass") == []


@pytest.mark.parametrize(
    ("register", "identifier", "element"),
    [
        ("ISO 19157:2013", "4", "DQ_CompletenessCommission"),
        ("ISO 19157:2013", "6", "DQ_CompletenessOmission"),
        ("ISO 19157:2013", "11", "DQ_ConceptualConsistency"),
        ("ISO 19157:2013", "16", "DQ_DomainConsistency"),
        ("ISO 19157:2013", "19", "DQ_FormatConsistency"),
        ("ISO 19157:2013", "23", "DQ_TopologicalConsistency"),
        ("ISO 19157:2013", "128", "DQ_AbsoluteExternalPositionalAccuracy"),
        ("ISO 19157:2013", "53", "DQ_RelativeInternalPositionalAccuracy"),
        ("ISO 19157:2013", "61", "DQ_ThematicClassificationCorrectness"),
        ("ISO 19157:2013", "65", "DQ_NonQuantitativeAttributeCorrectness"),
        ("ISO 19157:2013", "68", "DQ_QuantitativeAttributeAccuracy"),
        ("ISO 19157:2013", "159", "DQ_TemporalConsistency"),
        ("cityframe", "slope", "DQ_UsabilityElement"),
    ],
)
def test_measure_says_which_quality_element_it_is(sample, register, identifier, element):
    result = replace(sample.report.results[0], measure=Measure(register, identifier, "n"))
    assert quality_element(result) == element


def test_texts_with_control_characters_and_markup_stay_readable(sample):
    results = (replace(sample.report.results[0], message="<a>\x00&\x0b", rule="<r>"),)
    content = quality_xml(replace(sample.report, results=results), sample.layers)
    assert ElementTree.fromstring(content) is not None
    assert b"&lt;r&gt;" in content


def test_delivery_is_named_by_its_own_id(sample):
    report = replace(
        sample.report, kind=ReportKind.DELIVERY, deliveries=sample.report.deliveries[:1]
    )
    metadata = owslib.iso3.MD_Metadata(etree.fromstring(quality_xml(report, sample.layers)))
    assert metadata.identifier == sample.report.deliveries[0].delivery.id


def test_equal_reports_give_equal_bytes(sample):
    once = quality_xml(sample.report, sample.layers)
    assert once == quality_xml(sample.report, sample.layers)
