"""The rows of the cost table: what is measured against what, and the limit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from store_cost.measure import median, run

from cityframe.rules.registry import rule_kinds
from quality_cost import kinds, layers, peers, tiles
from quality_cost.lines import Line


@dataclass
class Bench:
    """One run over a generated city."""

    features: int
    repeats: int
    postgis: str | None = None
    only_kinds: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Parcels, addresses and arcs."""
        return self.features, self.features, self.features // 5

    def kinds(self) -> Iterator[Line]:
        """Each geometric kind beside its bare call."""
        for kind, case in kinds.CASES.items():
            if kind not in rule_kinds() or (self.only_kinds and kind not in self.only_kinds):
                continue
            outcome = run(kinds.measure_kind, kind, self.sizes, self.repeats)
            bare, ours = (median(outcome.laps[name]) for name in ("bare", "kind"))
            yield Line("kinds", f"bare: {case.what}", bare)
            yield Line("kinds", kind, ours, ours.cpu_s / bare.cpu_s, "x", case.limit, outcome.value)

    def attributes(self) -> Iterator[Line]:
        """Twenty attribute rules through Great Expectations, over its import."""
        outcome = run(layers.measure_attributes, self.sizes)
        yield Line("attributes", "import of Great Expectations", outcome.laps["import"][0])
        (cost,) = outcome.laps["20 attribute rules"]
        yield Line("attributes", "20 rules", cost, cost.cpu_s, "CPU s", 1.5, outcome.value)
        if peers.is_installed("pandera"):
            outcome = run(peers.measure_pandera, self.sizes)
            yield Line("attributes", "pandera", outcome.cost, found=outcome.value)

    def whole(self) -> Iterator[Line]:
        """Check the three layers with the default rule sets."""
        outcome = run(layers.measure_default_sets, self.sizes)
        cost, found = outcome.cost, sum(outcome.value.values())
        yield Line("whole", "default sets, three layers", cost, cost.cpu_s, "CPU s", 90.0, found)
        yield Line("whole", "peak memory", value=cost.peak_gib, unit="GiB", limit=4.0)
        yield Line("whole", "wall to CPU", value=cost.wall_s / cost.cpu_s, unit="x", limit=0.65)

    def incremental(self) -> Iterator[Line]:
        """1 % changed, beside the full check of the same state; equal findings."""
        for where, part_of_city in (("in one district", 0.06), ("all over the city", 1.0)):
            outcome = run(layers.measure_incremental, self.sizes, part_of_city)
            part, full = (sum(one.cpu_s for one in outcome.laps[name]) for name in ORDER)
            changed, found = outcome.value
            yield Line("incremental", "full check", value=full, unit="CPU s", found=found)
            what = f"{changed:,} changed {where}"
            yield Line("incremental", what, value=part / full, unit="x", limit=0.05)

    def tiles(self) -> Iterator[Line]:
        """Parcels in tiles from a file, beside the untiled check of a sample with its seams."""
        yield from tiles.measured(self.features)

    def peers(self) -> Iterator[Line]:
        """Measure validity, overlap and cover by other programs."""
        made = [("shapely", run(peers.measure_shapely, self.sizes))]
        if self.postgis:
            made.append(("PostGIS", run(peers.measure_postgis, self.sizes, self.postgis)))
        if peers.is_installed("sedonadb"):
            made.append(("SedonaDB", run(peers.measure_sedona, self.sizes)))
        for name, outcome in made:
            for what, laps in outcome.laps.items():
                yield Line("peers", f"{name}: {what}", laps[0])


ORDER = ("incremental", "full")
ROWS: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "kinds": Bench.kinds,
    "attributes": Bench.attributes,
    "whole": Bench.whole,
    "incremental": Bench.incremental,
    "tiles": Bench.tiles,
    "peers": Bench.peers,
}
