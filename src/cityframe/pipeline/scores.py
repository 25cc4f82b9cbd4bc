"""Score a candidate: the units that a cycle changes, layer by layer."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from cityframe.config.scoring import Scoring
from cityframe.core.findings import empty_findings
from cityframe.model.acceptance import LayerScore
from cityframe.pipeline.city import City
from cityframe.pipeline.current import StoredLayer
from cityframe.pipeline.frames_on_disk import read_frame
from cityframe.pipeline.plan import read_plan, reference_time
from cityframe.pipeline.staging import candidate_frames, candidate_of, check_results
from cityframe.rules.acceptance.score_units import unit_names
from cityframe.rules.acceptance.scoring import UnitScore, batch_score, unit_scores
from cityframe.store.candidate import read_changes_in_effect

WORST = 10


def layer_scores(city: City, cycle: str) -> Iterator[LayerScore]:
    """Yield the score of each layer that the candidate changes and a scheme scores."""
    for layer, units in changed_units(city, cycle).items():
        scheme = city.workspace.scoring[layer]
        yield _summary(layer, scheme, scored_units(city, cycle, layer, units))


def changed_units(city: City, cycle: str) -> dict[str, tuple[str, ...]]:
    """Return the units that a candidate changes, sorted, by layer; scored layers only.

    A feature that moves or goes counts for the unit that it leaves too.
    """
    candidate = candidate_of(city, cycle)
    moment = reference_time(city, read_plan(city, cycle))
    found: dict[str, tuple[str, ...]] = {}
    for name in city.workspace.layers:
        if name not in city.workspace.scoring or name not in candidate.layers:
            continue
        layer = city.workspace.layer(name)
        changes = read_changes_in_effect(candidate, layer)
        stored = StoredLayer(city.framework, layer, moment)
        known = changes.loc[changes["uid"].isin(stored.index()["uid"]), "uid"].tolist()
        before = stored.rows(known)
        geometry = np.concatenate([np.asarray(one.geometry) for one in (changes, before)])
        if len(geometry):
            found[name] = tuple(sorted(set(_units(city, cycle, name, geometry).tolist())))
    return found


def scored_units(
    city: City,
    cycle: str,
    layer: str,
    units: tuple[str, ...],
    inspected: "pd.Series[int] | None" = None,
) -> tuple[UnitScore, ...]:
    """Return the scores of some units of a layer, by the candidate's open findings.

    Parameters
    ----------
    inspected : Series of int or None
        Further defects that people found, by unit, element and class.
    """
    path = city.cycle_folder(cycle) / "candidate" / f"{layer}.findings.parquet"
    crs = city.workspace.layer(layer).crs
    findings = read_frame(path) if path.exists() else empty_findings(crs)
    places = _units(city, cycle, layer, np.asarray(findings.geometry, dtype=object))
    inside = np.isin(places.astype(str), list(units))
    return unit_scores(
        layer,
        city.workspace.scoring[layer],
        check_results(city, cycle).results,
        findings[inside],
        places[inside],
        units,
        inspected,
    )


def _units(
    city: City, cycle: str, layer: str, geometry: npt.NDArray[np.object_]
) -> npt.NDArray[np.object_]:
    areas = candidate_frames(city, candidate_of(city, cycle))
    return unit_names(geometry, city.workspace.scoring[layer], layer, areas)


def _summary(layer: str, scheme: Scoring, units: tuple[UnitScore, ...]) -> LayerScore:
    batch = batch_score(units)
    grades = Counter(unit.grade or "failed" for unit in units)
    means = {
        name: round(float(np.mean([unit.elements[name] for unit in units])), 2)
        for name in units[0].elements
    }
    worst = sorted(units, key=lambda unit: (unit.score, unit.unit))[:WORST]
    return LayerScore(
        layer=layer,
        scheme=scheme.name,
        title=scheme.title.title(),
        units=batch.units,
        failed=batch.failed,
        score=batch.score,
        elements=means,
        element_titles={name: scheme.elements[name].title.title() for name in means},
        grades=dict(sorted(grades.items())),
        grade_titles={name: grade.title.title() for name, grade in scheme.grades.items()},
        worst=tuple(unit.unit for unit in worst),
    )
