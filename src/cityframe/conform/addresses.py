"""Join records to the features that their addresses name."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from cityframe.config.source import AddressGeometry, AddressReading
from cityframe.conform.columns import Columns
from cityframe.conform.joins import Joined
from cityframe.conform.problems import Problem, RecordProblem, Records
from cityframe.conform.values import arrow_values, as_text
from cityframe.core.addresses import (
    AddressParser,
    AdminCodes,
    ChineseParser,
    Gazetteer,
    Reason,
    Style,
    WesternParser,
    address_table,
    folded,
    parts_of,
    read_admin_codes,
    resolve,
)
from cityframe.model.fate import Fate
from cityframe.model.text import Title

# a Chinese address begins with its divisions; a Western one is read without them
_IN_WORDS = {
    Style.CHINESE: ("province", "city", "district", "town", "text"),
    Style.WESTERN: ("text",),
}
_REASONS = {
    Reason.NO_STREET: Title(zh="未写明道路", en="it names no street"),
    Reason.NO_NUMBER: Title(zh="未写明门牌号", en="it names no house number"),
    Reason.UNKNOWN_STREET: Title(zh="道路不在图层中", en="its street is not in the layer"),
    Reason.UNKNOWN_NUMBER: Title(zh="该道路无此门牌号", en="its street has no such house number"),
    Reason.OTHER_UNIT: Title(zh="楼栋、单元或房室不符", en="the unit is another one"),
    Reason.WEAK: Title(zh="匹配得分过低", en="the best candidate is too weak"),
    Reason.SEVERAL: Title(zh="候选要素不唯一", en="several candidates are alike"),
}
_UNSURE = (Reason.WEAK, Reason.SEVERAL)


def join_addresses(
    columns: Columns,
    join: AddressGeometry,
    framework_layer: Callable[[str], gpd.GeoDataFrame],
    root: Path,
) -> Joined:
    """Find for each record the one feature that its address names.

    Parameters
    ----------
    root : Path
        Folder that the tables of administrative codes are relative to.

    Returns
    -------
    Joined
        A record without a certain feature waits, with a reason and its two best candidates.

    Raises
    ------
    DeclarationError
        If a table of administrative codes can't be read.
    """
    features = framework_layer(join.layer).reset_index(drop=True)
    count = len(columns.frame)
    if not all(columns.has(column) for column in join.on.values()):
        return Joined(features, np.full(count, -1, dtype=np.int64), ())
    reading, style = join.address, Style(join.address.style)
    codes = read_admin_codes([root / path for path in reading.admin]) if reading.admin else None
    ours = {part: _text(columns.frame[name]) for part, name in join.on.items()}
    theirs = {str(part): _attributes(features, one) for part, one in reading.attributes.items()}
    parser = address_parser(style, codes, within=reading.within)
    gazetteer = Gazetteer.of(
        read_parts(theirs, parser), style, _aliases(reading, framework_layer, parser)
    )
    parser = address_parser(style, codes, gazetteer.street_keys(), within=reading.within)
    resolved = resolve(read_parts(ours, parser), gazetteer)
    resolved["text"] = _shown(ours)
    return Joined(
        features=features,
        # a record that waits is shown where its best candidate is
        rows=resolved["best"].to_numpy(dtype=np.int64),
        problems=tuple(_problems(resolved, features["uid"], join)),
    )


def address_parser(
    style: Style,
    codes: AdminCodes | None,
    streets: frozenset[str] = frozenset(),
    *,
    within: str = "",
) -> AddressParser:
    """Return the parser of a style of addresses."""
    if style is Style.CHINESE:
        return ChineseParser(codes, streets, within)
    return WesternParser()


def read_parts(given: Mapping[str, pd.Series], parser: AddressParser) -> pd.DataFrame:
    """Read addresses that come in parts, in words, or both.

    Parameters
    ----------
    given : mapping of str to Series, n rows each
        Texts by part; ``text`` is an address in words. A part that comes by itself stands before
        the same part in words. A district may come as its code; one that no table of codes knows
        is told by its name.
    """
    texts = pd.DataFrame(dict(given)).fillna("").astype("str")
    district = texts.get("district", pd.Series("", index=texts.index, dtype="str"))
    is_code = district.str.fullmatch(r"\d+")
    words = texts.assign(district=district.mask(is_code, ""))
    named = [name for name in _IN_WORDS[parser.style] if name in words]
    whole = _together(words, named, "") if named else district.mask(district != "", "")
    unique = whole.unique()
    table = address_table([parser.parse(text) for text in unique])
    parts = table.iloc[pd.Index(unique).get_indexer(whole)].reset_index(drop=True)
    for name in texts.columns:
        if name not in _IN_WORDS[parser.style]:
            parts[name] = _folded(texts[name]).where(texts[name] != "", parts[name])
    is_named = is_code | (district != "") & (parts["division"] == "")
    parts["division"] = parts["division"].mask(is_named, _folded(district))
    return parts_of(parts)


def _text(column: pd.Series) -> pd.Series:
    return pd.Series(as_text(arrow_values(column)).to_pandas(), dtype="str").fillna("")


def _attributes(features: pd.DataFrame, given: str | tuple[str, ...]) -> pd.Series:
    names = (given,) if isinstance(given, str) else given
    return _together({name: _text(features[name]) for name in names}, names, " ")


def _folded(texts: pd.Series) -> pd.Series:
    return texts.map({text: folded(text) for text in texts.unique()}).astype("str")


def _together(
    texts: Mapping[str, pd.Series] | pd.DataFrame, names: Sequence[str], between: str
) -> pd.Series:
    """Return texts put together, row by row; empty ones leave no gap at the ends."""
    columns = [texts[name].fillna("").astype("str") for name in names]
    return reduce(lambda left, right: left + between + right, columns).str.strip()


def _aliases(
    reading: AddressReading,
    framework_layer: Callable[[str], gpd.GeoDataFrame],
    parser: AddressParser,
) -> pd.DataFrame | None:
    streets = reading.streets
    if streets is None:
        return None
    layer = framework_layer(streets.layer).reset_index(drop=True)
    table = pd.DataFrame({"name": _text(layer[streets.name]), "alias": _text(layer[streets.alias])})
    if streets.district:
        table["division"] = read_parts({"district": _text(layer[streets.district])}, parser)[
            "division"
        ]
    return table


def _shown(given: Mapping[str, pd.Series]) -> pd.Series:
    return _together(given, list(given), " ")


def _problems(resolved: pd.DataFrame, uids: pd.Series, join: AddressGeometry) -> list[Problem]:
    """Say for each record that waits why, and which two features are the nearest to it."""
    uid = np.append(uids.astype("str").to_numpy(dtype=object), "")
    problems: list[Problem] = []
    for is_ambiguous in (False, True):
        waits = (resolved["position"] < 0) & (resolved["reason"].isin(_UNSURE) == is_ambiguous)
        rows = resolved[waits]
        if rows.empty:
            continue
        records: Records = rows.index.to_numpy(dtype=np.int64)
        best, second = uid[rows["best"]], uid[rows["second"]]
        scores = zip(rows["score"], rows["second_score"], strict=True)
        named = [
            ", ".join(f"{name} ({score:.2f})" for name, score in zip(pair, by, strict=True) if name)
            for pair, by in zip(zip(best, second, strict=True), scores, strict=True)
        ]
        shown = list(zip(rows["text"], rows["reason"].map(Reason), named, strict=True))
        problems.append(
            RecordProblem(
                f"intake.{'ambiguous' if is_ambiguous else 'unmatched'}-join",
                records,
                [_said(*one) for one in shown],
                f"one feature of layer {join.layer}",
                Fate.WAITING,
                [",".join(filter(None, pair)) for pair in zip(best, second, strict=True)],
                found_zh=[_said_zh(*one) for one in shown],
                expected_zh=f"图层 {join.layer} 的一个要素",
            )
        )
    return problems


def _said(text: str, reason: Reason, candidates: str) -> str:
    shown = f"address {text!r}" if text else "no address"
    nearest = f"; candidates: {candidates}" if candidates else ""
    return f"{shown}: {_REASONS[reason].en}{nearest}"


def _said_zh(text: str, reason: Reason, candidates: str) -> str:
    shown = f"地址 {text!r}" if text else "无地址"
    nearest = f"；候选：{candidates}" if candidates else ""
    return f"{shown}：{_REASONS[reason].zh}{nearest}"
