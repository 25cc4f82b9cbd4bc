"""A quality report in the terms of ISO 19157, in the XML encoding of ISO 19115-3.

``mdb:MD_Metadata`` with one ``mdq:DQ_DataQuality`` a layer and in it one element a rule: measure,
evaluation method, the number and rate of items that fail, and whether the rule passes. The order of
the elements is that of the schemas ``mdb/2.0`` and ``mdq/1.0`` (ISO/TS 19157-2).
"""

from collections.abc import Mapping
from xml.etree import ElementTree as ET

from cityframe.model.finding import Scope
from cityframe.model.layer import Layer
from cityframe.model.report import Report, ReportKind, RuleResult, RuleStatus
from cityframe.model.text import Title

_ISO = "http://standards.iso.org/iso"
NAMESPACES = {
    "mdb": f"{_ISO}/19115/-3/mdb/2.0",
    "cit": f"{_ISO}/19115/-3/cit/2.0",
    "lan": f"{_ISO}/19115/-3/lan/1.0",
    "mcc": f"{_ISO}/19115/-3/mcc/1.0",
    "mri": f"{_ISO}/19115/-3/mri/1.0",
    "gco": f"{_ISO}/19115/-3/gco/1.0",
    "mdq": f"{_ISO}/19157/-2/mdq/1.0",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_CODES = f"{_ISO}/19115/resources/Codelists/cat/codelists.xml"
_ISO_REGISTER = "ISO 19157:2013"
# annex D of ISO 19157:2013 lists its measures by data quality element: first number, last, element
_ELEMENTS = (
    (1, 4, "DQ_CompletenessCommission"),
    (5, 7, "DQ_CompletenessOmission"),
    (8, 13, "DQ_ConceptualConsistency"),
    (14, 18, "DQ_DomainConsistency"),
    (19, 20, "DQ_FormatConsistency"),
    (21, 27, "DQ_TopologicalConsistency"),
    (28, 51, "DQ_AbsoluteExternalPositionalAccuracy"),
    (52, 53, "DQ_RelativeInternalPositionalAccuracy"),
    (54, 59, "DQ_AccuracyOfATimeMeasurement"),
    (60, 64, "DQ_ThematicClassificationCorrectness"),
    (65, 67, "DQ_NonQuantitativeAttributeCorrectness"),
    (68, 73, "DQ_QuantitativeAttributeAccuracy"),
    (119, 119, "DQ_FormatConsistency"),
    (128, 128, "DQ_AbsoluteExternalPositionalAccuracy"),
    (159, 159, "DQ_TemporalConsistency"),
)


def quality_xml(report: Report, layers: Mapping[str, Layer]) -> bytes:
    """Return the results of a report as an ISO 19157 quality report in XML.

    UTF-8; texts in Chinese with their English beside them (``lan:PT_FreeText``), times in UTC. A
    rule that could not be checked has a descriptive result that says why, and none else.
    """
    for prefix, address in NAMESPACES.items():
        ET.register_namespace(prefix, address)
    root = _element("mdb:MD_Metadata")
    root.set("xmlns:xs", "http://www.w3.org/2001/XMLSchema")
    _identity(root, report)
    by_layer: dict[str, list[RuleResult]] = {}
    for result in report.results:
        by_layer.setdefault(result.layer, []).append(result)
    titles = {one.layer: one.title for one in report.changes}
    titles |= {name: layer.title for name, layer in layers.items()}
    for name, results in by_layer.items():
        quality = _child(root, "mdb:dataQualityInfo/mdq:DQ_DataQuality")
        _scope(_child(quality, "mdq:scope"), "featureType", titles.get(name, Title(name, name)))
        for result in results:
            _report(_child(quality, "mdq:report"), result, report)
    ET.indent(root, " ")
    text: str = ET.tostring(root, encoding="unicode")
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{text}\n".encode()


def quality_element(result: RuleResult) -> str:
    """Return the data quality element of ISO 19157 that a rule's measure belongs to.

    A measure of another register than ISO 19157's says how usable the data is for its purpose.
    """
    measure = result.measure
    if measure.register == _ISO_REGISTER and measure.id.isdigit():
        for first, last, element in _ELEMENTS:
            if first <= int(measure.id) <= last:
                return element
    return "DQ_UsabilityElement"


def _identity(root: ET.Element, report: Report) -> None:
    subject = report.deliveries[0].delivery.id if report.kind is ReportKind.DELIVERY else report.id
    title = Title(
        f"{report.city.zh} {report.series.zh} {subject} 质检报告",
        f"Quality report of {report.city.en}, {report.series.en}, {subject}",
    )
    _text(_child(root, "mdb:metadataIdentifier/mcc:MD_Identifier"), "mcc:code", subject)
    _locale(_child(root, "mdb:defaultLocale"), "zh", "zho")
    scope = _child(root, "mdb:metadataScope/mdb:MD_MetadataScope/mdb:resourceScope")
    _code(scope, "mcc:MD_ScopeCode", "dataset")
    _responsible(_child(root, "mdb:contact"), report.city)
    _date(_child(root, "mdb:dateInfo"), report.created_at)
    standard = _child(root, "mdb:metadataStandard/cit:CI_Citation")
    _text(standard, "cit:title", "ISO 19115-3")
    _locale(_child(root, "mdb:otherLocale"), "en", "eng")
    data = _child(root, "mdb:identificationInfo/mri:MD_DataIdentification")
    citation = _child(data, "mri:citation/cit:CI_Citation")
    _texts(citation, "cit:title", title)
    _date(_child(citation, "cit:date"), report.created_at)
    _texts(
        data,
        "mri:abstract",
        Title("空间框架各图层的质检结果", "Results of the checks of the framework's layers"),
    )


def _report(place: ET.Element, result: RuleResult, report: Report) -> None:
    element = _child(place, f"mdq:{quality_element(result)}")
    measure = _child(element, "mdq:measure/mdq:DQ_MeasureReference")
    identifier = _child(measure, "mdq:measureIdentification/mcc:MD_Identifier")
    _text(identifier, "mcc:code", result.measure.id or result.kind)
    _text(identifier, "mcc:codeSpace", result.measure.register or "cityframe")
    _text(measure, "mdq:nameOfMeasure", result.measure.name or result.kind)
    _texts(measure, "mdq:measureDescription", result.title)
    method = _child(element, "mdq:evaluationMethod/mdq:DQ_FullInspection")
    _text(_child(method, "mdq:dateTime"), "", report.created_at, kind="gco:DateTime")
    _texts(method, "mdq:evaluationMethodDescription", _method(result))
    procedure = _child(method, "mdq:evaluationProcedure/cit:CI_Citation")
    _text(procedure, "cit:title", f"cityframe {result.kind}")
    _text(procedure, "cit:edition", str(result.version))
    kind = _child(method, "mdq:evaluationMethodType")
    _code(kind, "mdq:DQ_EvaluationMethodTypeCode", "directInternal")
    if result.status is RuleStatus.NOT_CHECKED:
        descriptive = _result(element, "DQ_DescriptiveResult", result)
        _text(descriptive, "mdq:statement", result.message or "could not be checked")
        return
    _number(_result(element, "DQ_QuantitativeResult", result), result.failed, "xs:integer")
    if result.checked:
        rate = f"{result.failed / result.checked:.8f}"
        _number(_result(element, "DQ_QuantitativeResult", result), rate, "xs:decimal")
    conformance = _result(element, "DQ_ConformanceResult", result)
    specification = _child(conformance, "mdq:specification/cit:CI_Citation")
    _texts(specification, "cit:title", result.title)
    _date(_child(specification, "cit:date"), report.created_at)
    _text(_child(specification, "cit:identifier/mcc:MD_Identifier"), "mcc:code", result.rule)
    _texts(conformance, "mdq:explanation", _explanation(result))
    passes = result.status is RuleStatus.PASSED or result.is_within_tolerance
    _text(_child(conformance, "mdq:pass"), "", str(passes).lower(), kind="gco:Boolean")


def _method(result: RuleResult) -> Title:
    where = result.delivery
    if result.scope is Scope.DELIVERY:
        return Title(f"对批次 {where} 全数检查", f"full inspection of delivery {where}")
    return Title("对候选版本全数检查", "full inspection of the candidate")


def _explanation(result: RuleResult) -> Title:
    failed, checked = result.failed, result.checked
    within = (
        ("在容许范围内", "within") if result.is_within_tolerance else ("超出容许范围", "beyond")
    )
    return Title(
        f"检查 {checked} 条，不合格 {failed} 条，{within[0]}",
        f"{failed} of {checked} items fail, {within[1]} tolerance",
    )


def _result(element: ET.Element, kind: str, result: RuleResult) -> ET.Element:
    made = _child(element, f"mdq:result/mdq:{kind}")
    if result.delivery:
        name = Title(result.delivery, result.delivery)
        _scope(_child(made, "mdq:resultScope"), "dataset", name)
    return made


def _number(result: ET.Element, value: object, kind: str) -> None:
    record = _text(_child(result, "mdq:value"), "", str(value), kind="gco:Record")
    record.set(_name("xsi:type"), kind)
    names = {"xs:integer": "number of items", "xs:decimal": "rate of items"}
    _text(_child(result, "mdq:valueRecordType"), "", names[kind], kind="gco:RecordType")


def _scope(place: ET.Element, level: str, name: Title) -> None:
    scope = _child(place, "mcc:MD_Scope")
    _code(_child(scope, "mcc:level"), "mcc:MD_ScopeCode", level)
    _texts(_child(scope, "mcc:levelDescription/mcc:MD_ScopeDescription"), "mcc:other", name)


def _responsible(place: ET.Element, name: Title) -> None:
    responsibility = _child(place, "cit:CI_Responsibility")
    _code(_child(responsibility, "cit:role"), "cit:CI_RoleCode", "custodian")
    _texts(_child(responsibility, "cit:party/cit:CI_Organisation"), "cit:name", name)


def _date(place: ET.Element, moment: str) -> None:
    date = _child(place, "cit:CI_Date")
    _text(_child(date, "cit:date"), "", moment, kind="gco:DateTime")
    _code(_child(date, "cit:dateType"), "cit:CI_DateTypeCode", "creation")


def _locale(place: ET.Element, name: str, language: str) -> None:
    locale = _child(place, "lan:PT_Locale")
    locale.set("id", name)
    _code(_child(locale, "lan:language"), "lan:LanguageCode", language)
    _code(_child(locale, "lan:characterEncoding"), "lan:MD_CharacterSetCode", "utf8")


def _texts(parent: ET.Element, path: str, title: Title) -> None:
    """Add a text in Chinese, the default locale, with its English."""
    place = _child(parent, path)
    _text(place, "", title.zh)
    if title.en == title.zh:
        return
    place.set(_name("xsi:type"), "lan:PT_FreeText_PropertyType")
    text = _child(place, "lan:PT_FreeText/lan:textGroup/lan:LocalisedCharacterString")
    text.set("locale", "#en")
    text.text = _clean(title.en)


def _text(
    parent: ET.Element, path: str, value: str, *, kind: str = "gco:CharacterString"
) -> ET.Element:
    element = _child(_child(parent, path) if path else parent, kind)
    element.text = _clean(value)
    return element


def _code(parent: ET.Element, name: str, value: str) -> None:
    code = _child(parent, name)
    code.set("codeList", f"{_CODES}#{name.partition(':')[2]}")
    code.set("codeListValue", value)
    code.text = value


def _clean(text: str) -> str:
    # XML 1.0 has no control characters, not even as references
    return "".join(one for one in text if one >= " " or one in "\t\n")


def _child(parent: ET.Element, path: str) -> ET.Element:
    for name in path.split("/"):
        parent = ET.SubElement(parent, _name(name))
    return parent


def _element(name: str) -> ET.Element:
    return ET.Element(_name(name))


def _name(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"
