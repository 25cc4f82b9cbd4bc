"""The rows of the cost table: what is measured against what, and the limit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from store_cost import buildings, framework, geopackage, peers, postgis, snapshot
from store_cost.measure import Cost, Outcome, median, run, total

SHARE = 0.01
SNAPSHOT_FEATURES = 200_000
WINDOW_REPEATS = 20
DIFF_REPEATS = 5


@dataclass(frozen=True)
class Line:
    """One figure.

    Attributes
    ----------
    home : str
        ``gpkg``, ``postgis``, or empty where it does not matter.
    value, unit
        What the limit judges: ``x`` is a ratio of CPU seconds to the baseline's, ``x bytes`` one
        of sizes.
    limit : float or None
        None for a figure that stands for comparison only.
    wall_ratio : float or None
        The same ratio of wall seconds; it means something on a calm machine only.
    """

    row: str
    home: str
    what: str
    cost: Cost | None = None
    value: float | None = None
    unit: str = ""
    limit: float | None = None
    wall_ratio: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether the figure is above its limit."""
        return self.limit is not None and self.value is not None and self.value > self.limit


@dataclass
class Bench:
    """One run over generated buildings in a folder of its own."""

    folder: Path
    features: int
    homes: dict[str, str | None]
    repeats: int
    _loaded: set[str] = field(default_factory=set)
    _committed: set[str] = field(default_factory=set)

    def generate(self) -> None:
        """Write the buildings and their changes; have the server write its COPY files."""
        run(buildings.generate, self.folder, self.features, SHARE)
        for url in self.homes.values():
            if url is not None:
                run(postgis.prepare, self.folder, url)

    def clean_up(self) -> None:
        """Drop what the run made in databases."""
        for url in self.homes.values():
            if url is not None:
                run(postgis.drop, url)

    def load(self) -> Iterator[Line]:
        """Load the buildings into an empty store; its peak memory."""
        for home, url in self.homes.items():
            bare: list[Cost] = []
            stage: list[Cost] = []
            commit: list[Cost] = []
            for _ in range(self.repeats):
                bare.append(self._bare_load(url).cost)
                laps = run(framework.load, self.folder, url).laps
                stage += laps["stage"]
                commit += laps["commit"]
            self._loaded.add(home)
            both = [total(pair) for pair in zip(stage, commit, strict=True)]
            name = "write_arrow" if url is None else "COPY and indexes"
            limit = 2.0 if url is None else 1.5
            yield Line("load", home, f"bare: {name}", median(bare))
            yield _ratio("load", home, "staging: digests, candidate", median(stage), median(bare))
            yield _ratio("load", home, "commit", median(commit), median(bare))
            yield _ratio("load", home, "both", median(both), median(bare), limit)
            peak = median(both).peak_gib
            yield Line("load", home, "peak memory", value=peak, unit="GiB", limit=1.5)

    def commit(self) -> Iterator[Line]:
        """Commit 1 % ten times in a row, in turns with bare SQL."""
        for home, url in self.homes.items():
            self._need_load(home, url)
            laps = run(framework.commits, self.folder, url).laps
            self._committed.add(home)
            bare, commits = laps["bare SQL"], laps["commit"]
            yield Line("commit", home, "bare SQL: close and add", median(bare))
            yield _ratio("commit", home, "staging, median", median(laps["stage"]), median(bare))
            yield _ratio("commit", home, "commit, median", median(commits), median(bare))
            worst = max(commits, key=lambda cost: cost.cpu_s)
            yield _ratio("commit", home, "worst of ten", worst, median(bare), 2.5)
            yield _ratio("commit", home, "tenth to first", commits[-1], commits[0], 1.2)
            # one alone is at the mercy of the clock's ticks
            first, last = median(commits[:3]), median(commits[-3:])
            yield _ratio("commit", home, "last three to first three", last, first, 1.2)

    def as_of(self) -> Iterator[Line]:
        """Read the whole layer as of the first release, to Arrow."""
        for home, url in self.homes.items():
            self._need_commits(home, url)
            plain = run(framework.plain_file, self.folder, url).value
            bare, ours = [], []
            for _ in range(self.repeats):
                bare.append(run(geopackage.read, plain).cost)
                answer = run(framework.as_of, self.folder, url)
                assert answer.value == self.features, answer.value
                ours.append(answer.cost)
            yield Line("as-of", home, "bare: read_arrow of a plain file", median(bare))
            if url is not None:
                yield Line("as-of", home, "peer: bare SQL by ADBC", self._bare_read(url, None, 1))
            yield _ratio("as-of", home, "as_of_arrow", median(ours), median(bare), 2.0)

    def window(self) -> Iterator[Line]:
        """Read a box with 1 % of the area as of the first release."""
        for home, url in self.homes.items():
            self._need_commits(home, url)
            plain = run(framework.plain_file, self.folder, url).value
            bare = run(geopackage.read_window, plain, WINDOW_REPEATS)
            window, counts = bare.value
            ours = run(framework.as_of_window, self.folder, url, window, WINDOW_REPEATS)
            assert ours.value == counts, (ours.value, counts)
            read = _mean(bare)
            yield Line("window", home, f"bare: read_arrow, {counts[0]:,} rows", read)
            if url is not None:
                peer = self._bare_read(url, window, WINDOW_REPEATS)
                yield Line("window", home, "peer: bare SQL by ADBC", peer)
            yield _ratio("window", home, "as_of_arrow", _mean(ours), read, 1.5)

    def diff(self) -> Iterator[Line]:
        """Compare neighbouring releases that differ in 10,000 features."""
        for home, url in self.homes.items():
            self._need_commits(home, url)
            answer = run(framework.difference, self.folder, url, DIFF_REPEATS)
            cost = _mean(answer)
            what = f"difference, {answer.value:,} features"
            yield Line("diff", home, what, cost, cost.cpu_s, "CPU s", 0.2)

    def snapshot(self) -> Iterator[Line]:
        """Go from a snapshot with 1 % changed to a release; buildings of its own number."""
        folder = self.folder / "snapshot"
        folder.mkdir(exist_ok=True)
        count = min(self.features, SNAPSHOT_FEATURES)
        run(buildings.generate, folder, count, SHARE)
        for home, url in self.homes.items():
            run(snapshot.prepare, folder, url)
            answer = run(snapshot.snapshot_to_release, folder, url)
            laps = {name: total(costs) for name, costs in answer.laps.items()}
            for name, cost in laps.items():
                yield Line("snapshot", home, name, cost)
            more = total([cost for name, cost in laps.items() if name != "read the snapshot"])
            what = f"{count:,} to a release, less reading"
            yield Line("snapshot", home, what, more, more.cpu_s, "CPU s", 2.0)
            # the measured store of the database is now another one
            self._loaded.discard(home)
            self._committed.discard(home)

    def delta(self) -> Iterator[Line]:
        """Do the same in Delta Lake, for comparison."""
        answer = run(peers.delta_lake, self.folder)
        for name, costs in answer.laps.items():
            yield Line("delta", "", f"peer: deltalake, {name}", total(costs))
        for name, size in answer.value.items():
            yield Line("delta", "", f"peer: deltalake, {name}", value=size / 2**20, unit="MiB")

    def package(self) -> Iterator[Line]:
        """Weigh the change package of 1 % against geodiff's changeset of the same change."""
        peer = run(peers.geodiff, self.folder, 1)
        yield Line("package", "", "peer: pygeodiff create_changeset", peer.cost)
        for name, size in peer.value.items():
            yield Line("package", "", f"peer: changeset, {name}", value=size / 2**20, unit="MiB")
        for home, url in self.homes.items():
            self._need_commits(home, url)
            ours = run(framework.package, self.folder, url)
            yield Line("package", home, "difference and package, proved", ours.cost)
            for name, against in (("parquet", "zstd"), ("deflate", "deflate")):
                size = ours.value[name]
                ratio = size / peer.value[against]
                what = f"{name}, {size / 2**20:.2f} MiB, to {against}"
                yield Line("package", home, what, None, ratio, "x bytes", 1.0)

    def _bare_load(self, url: str | None) -> Outcome:
        if url is None:
            return run(geopackage.load, self.folder)
        return run(postgis.load, self.folder, url)

    def _bare_read(self, url: str, window: geopackage.Bounds | None, repeats: int) -> Cost:
        return _mean(run(postgis.read, url, window, repeats))

    def _need_load(self, home: str, url: str | None) -> None:
        # ten commits stand on a store with one release
        if home not in self._loaded or home in self._committed:
            run(framework.load, self.folder, url)
            self._loaded.add(home)
            self._committed.discard(home)

    def _need_commits(self, home: str, url: str | None) -> None:
        if home not in self._committed:
            self._need_load(home, url)
            run(framework.commits, self.folder, url)
            self._committed.add(home)


ROWS: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "load": Bench.load,
    "commit": Bench.commit,
    "as-of": Bench.as_of,
    "window": Bench.window,
    "diff": Bench.diff,
    "package": Bench.package,
    "snapshot": Bench.snapshot,
    "delta": Bench.delta,
}


def _ratio(
    row: str, home: str, what: str, cost: Cost, bare: Cost, limit: float | None = None
) -> Line:
    wall = cost.wall_s / bare.wall_s
    return Line(row, home, what, cost, cost.cpu_s / bare.cpu_s, "x", limit, wall)


def _mean(outcome: Outcome) -> Cost:
    """Return the mean of the laps: short ones are lost in the clock's ticks, their sum is not."""
    laps = [lap for laps in outcome.laps.values() for lap in laps]
    whole = total(laps)
    return Cost(whole.wall_s / len(laps), whole.cpu_s / len(laps), whole.peak_gib)
