"""The report: made from the result folder alone, complete where everything is there, whole where little is."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from insar.errors import InputError, MissingInputError
from insar.figures import NetworkPair, draw_network, robust_limits, symmetric_limit
from insar.findings import find_concerns
from insar.grid import Grid, RowCol
from insar.layers import LAYERS, write_layer
from insar.maps import QUALITY_CLASSES, shade_relief
from insar.preview import Preview, choose_points, read_preview
from insar.quality import Quality
from insar.report import write_report
from insar.report_page import Level
from insar.result import ResultFolder
from insar.stack import Acquisition, Pair, Stack
from insar.writers.manifest import write_manifest
from insar.writers.timeseries import create_timeseries_file, timeseries_memmap

UTM = Grid(90, 120, Affine(40.0, 0, 350_000.0, 0, -40.0, 6_320_000.0), "EPSG:32719")
DEGREES = Grid(90, 120, Affine(4e-4, 0, -70.6, 0, -4e-4, -33.2), "EPSG:4326")
REFERENCE = RowCol(15, 20)
ALL_LAYERS = tuple(LAYERS)


@pytest.fixture(autouse=True)
def coarse_figures(monkeypatch):
    monkeypatch.setattr("insar.figures._DPI", 40)  # what is drawn does not depend on it, the time it takes does


def scene(grid: Grid) -> dict[str, np.ndarray]:
    """A slope that creeps away from the satellite, another toward it, noise, gaps and shadow."""
    rows, cols = grid.shape
    row, col = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, cols), indexing="ij")
    rng = np.random.default_rng(5)
    height = 1500 + 900 * np.sin(3 * col + 1) * np.cos(2.5 * row) + 120 * np.sin(17 * col + 9 * row)
    velocity = -0.11 * np.exp(-((row - 0.65) ** 2 + (col - 0.7) ** 2) / 0.01)
    velocity += 0.05 * np.exp(-((row - 0.3) ** 2 + (col - 0.75) ** 2) / 0.008)
    coherence = np.clip(0.95 - 0.6 * np.exp(-((col - 0.2) ** 2 + (row - 0.8) ** 2) / 0.03), 0, 1)
    coherence = np.clip(coherence - 0.05 * np.abs(rng.normal(size=grid.shape)), 0.05, 1)
    std = 0.002 + 0.02 * (1 - coherence)
    velocity = velocity + std * rng.normal(size=grid.shape)
    quality = np.where(coherence < 0.7, Quality.LOW_TEMPORAL_COHERENCE, 0).astype(np.uint8)
    quality[(col > 0.9) & (row > 0.5)] |= int(Quality.GAP_FILLED)
    quality[np.hypot(row - 0.45, col - 0.45) < 0.05] |= int(Quality.LAYOVER_OR_SHADOW)
    none = col + row < 0.12
    quality[none] = Quality.NO_DATA
    layers = {
        "velocity": velocity,
        "velocity_std": std,
        "cumulative_displacement": velocity * 1.4,
        "temporal_coherence": coherence,
        "mean_coherence": coherence * 0.8,
        "residual_rms": std * 1.3,
        "height": height,
        "incidence_angle": 38 + 2 * col,
    }
    layers = {name: np.where(none, np.nan, values).astype(np.float32) for name, values in layers.items()}
    counts = np.where(none, 0, 40).astype(np.uint16)
    return {**layers, "pairs_used": counts, "subsets": np.minimum(counts, 1), "quality": quality}


def build_result(
    folder: Path,
    *,
    grid: Grid = UTM,
    layers: dict[str, np.ndarray] | None = None,
    with_series: bool = True,
    with_coherence: bool = True,
    with_baselines: bool = True,
    subsets: int = 1,
    summary: dict | None = None,
    dates: int = 14,
    notes: tuple[str, ...] = (),
) -> Path:
    """A result folder as a run leaves it, but for the report."""
    (folder / "layers").mkdir(parents=True)
    layers = scene(grid) if layers is None else layers
    reference = RowCol(min(REFERENCE.row, grid.rows - 1), min(REFERENCE.col, grid.cols - 1))
    if "velocity" in layers:
        layers["velocity"][reference] *= 0.0
    days = [date(2021, 3, 4) + timedelta(days=36 * index) for index in range(dates)]
    pairs = [
        Pair(days[first], days[second])
        for first, second in itertools.combinations(range(dates), 2)
        if second - first <= 3
    ]
    rng = np.random.default_rng(2)
    position = dict(zip(days, rng.normal(0, 60, dates), strict=True))
    bridge = pairs[len(pairs) // 2]
    baselines = np.array([position[pair.secondary] - position[pair.reference] for pair in pairs])
    stack = Stack(
        path=Path("processed/andes_<descending>_track_83"),
        processor="isce",
        pairs=tuple(pairs),
        wavelength_m=0.0554657646,
        perpendicular_baselines_m=baselines,
        grid=grid,
        acquisition=Acquisition(platform="Sentinel-1", orbit_direction="descending"),
        notes=notes,
    )
    written = []
    for name, values in layers.items():
        write_layer(folder / "layers" / f"{name}.tif", values, grid, LAYERS[name])
        written.append((LAYERS[name], folder / "layers" / f"{name}.tif"))
    files = []
    if with_series:
        create_timeseries_file(
            folder / "timeseries.h5",
            grid=grid,
            dates=days,
            stack=stack,
            reference=reference,
            perpendicular_baselines_m=np.array(list(position.values())),
        )
        series = timeseries_memmap(folder / "timeseries.h5")
        years = np.array([(day - days[0]).days / 365.25 for day in days])
        rate = layers.get("velocity", np.zeros(grid.shape))
        noise = rng.normal(0, 0.004, (dates, 1, 1)) * (np.abs(rate) > 0)
        series[:] = years[:, None, None] * rate + noise - noise[0]
        series[:, reference.row, reference.col] = 0
        series.flush()
        files.append(folder / "timeseries.h5")
    place = grid.lonlat(reference)
    told = {
        "network": {
            "dates": days,
            "pairs": [
                {
                    "name": pair.name,
                    "reference": pair.reference,
                    "secondary": pair.secondary,
                    "perpendicular_baseline_m": float(baseline) if with_baselines else None,
                    "temporal_baseline_days": pair.temporal_baseline_days,
                    "mean_coherence": 0.9 - pair.temporal_baseline_days / 300 if with_coherence else None,
                    "kept": index % 11 != 3,
                    "reason": "perpendicular baseline above 150 m" if index % 11 == 3 else None,
                }
                for index, (pair, baseline) in enumerate(zip(pairs, baselines, strict=True))
            ],
            "subsets": subsets,
            "weakest_links": [bridge.name],
        },
        "reference": {
            "row": reference.row,
            "col": reference.col,
            "lon": place.lon,
            "lat": place.lat,
            "how": "auto",
            "score": 0.83,
        },
        "timing_seconds": {"open and plan": 0.4, "invert": 12.25, "write layers": 3.0},
    }
    write_manifest(
        folder,
        layers=written,
        stack=stack,
        configuration={"weights": "variance", "max_temporal_days": 108.0, "bbox": None, "reference": "auto"},
        summary=told if summary is None else summary,
        left_out={} if "mean_coherence" in layers else {"mean_coherence": "the stack has no coherence"},
        grid=grid,
        files=files,
        started=datetime(2024, 1, 1, tzinfo=UTC),
        finished=datetime(2024, 1, 1, 0, 5, tzinfo=UTC),
    )
    return folder


class Page(HTMLParser):
    """What a browser would load, and the text of the page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        assert tag not in ("script", "link", "iframe")
        if tag == "img":
            assert values["alt"]
            self.loaded.append(values["src"])
        if tag == "a":
            self.links.append(values["href"])
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data + " "


def check_page(path: Path) -> Page:
    page = Page(path)
    assert "http" not in path.read_text(encoding="utf-8").replace("http-equiv", "")
    for source in page.loaded:
        assert (path.parent / source).read_bytes().startswith(b"\x89PNG")
    for link in page.links:
        assert link.startswith("#") or (path.parent / link).is_file()
    assert not list(path.parent.rglob("*.partial"))
    for unwanted in ("nan", "None", "inf "):
        assert unwanted not in page.text.replace("information", "").replace("NaN", "")
    return page


def findings_of(folder: Path, level: Level) -> str:
    return " | ".join(finding.text for finding in find_concerns(ResultFolder(folder)) if finding.level is level)


@pytest.mark.parametrize("grid", [UTM, DEGREES, Grid.radar(90, 120)], ids=["utm", "degrees", "radar"])
def test_a_whole_result_has_every_figure(tmp_path, grid):
    path = write_report(build_result(tmp_path / "out", grid=grid))
    assert path == tmp_path / "out" / "report.html"
    page = check_page(path)
    assert sorted(page.loaded) == [
        f"figures/{name}.png"
        for name in (
            "cumulative_displacement",
            "mean_coherence",
            "network",
            "quality",
            "residual_rms",
            "temporal_coherence",
            "timeseries",
            "velocity",
            "velocity_histogram",
            "velocity_std",
        )
    ]
    for wanted in (
        "andes_<descending>_track_83",
        "Sentinel-1, descending",
        "14 dates",
        "mm/yr",
        "score 0.83",
        "12.2 s",
    ):
        assert wanted in page.text
    assert "layers/velocity.tif" in page.links


def test_the_report_is_the_same_each_time_and_leaves_the_layers_alone(tmp_path):
    folder = build_result(tmp_path / "out")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_report(folder)
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_report(folder)
    second = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert first.keys() == second.keys()
    assert [path.name for path in first if first[path] != second[path]] == []
    assert {path: first[path] for path in before} == before


def test_a_manifest_that_tells_nothing_is_enough(tmp_path):
    folder = build_result(tmp_path / "out", layers={}, with_series=False, summary={})
    page = check_page(write_report(folder))
    assert page.loaded == []


def test_inversion_alone_is_shown_by_its_displacement(tmp_path):
    layers = {name: scene(UTM)[name] for name in ("temporal_coherence", "pairs_used", "subsets", "quality")}
    folder = build_result(tmp_path / "out", layers=layers)
    page = check_page(write_report(folder))
    assert {"figures/cumulative_displacement.png", "figures/timeseries.png"} <= set(page.loaded)
    assert "figures/velocity.png" not in page.loaded


def test_all_nan_layers(tmp_path):
    empty = {name: np.full_like(values, np.nan) for name, values in scene(UTM).items() if values.dtype.kind == "f"}
    empty["quality"] = np.full(UTM.shape, Quality.NO_DATA, np.uint8)
    folder = build_result(tmp_path / "out", layers=empty)
    page = check_page(write_report(folder))
    assert "figures/velocity.png" in page.loaded
    assert "No pixel has a result" in page.text


@pytest.mark.parametrize(
    ("shape", "crs"), [((3, 3), "EPSG:4326"), ((1, 1), None), ((2, 200), "EPSG:32719"), ((90, 1), "EPSG:32719")]
)
def test_tiny_grids(tmp_path, shape, crs):
    grid = Grid.radar(*shape) if crs is None else Grid(*shape, (UTM if crs == UTM.crs else DEGREES).transform, crs)
    layers = {
        name: np.zeros(shape, LAYERS[name].dtype) if name == "quality" else np.ones(shape, LAYERS[name].dtype)
        for name in ALL_LAYERS
    }
    page = check_page(write_report(build_result(tmp_path / "out", grid=grid, layers=layers, dates=2)))
    assert "figures/velocity.png" in page.loaded
    assert "Only 2 dates" in page.text


def test_no_coherence_and_no_baselines(tmp_path):
    layers = scene(UTM)
    del layers["mean_coherence"], layers["height"]
    folder = build_result(tmp_path / "out", layers=layers, with_coherence=False, with_baselines=False)
    page = check_page(write_report(folder))
    assert "figures/mean_coherence.png" not in page.loaded
    assert "The stack has no coherence" in page.text
    assert page.text.count("unknown") >= 2


def test_concerns_are_told_at_their_weight(tmp_path):
    layers = scene(UTM)
    layers["quality"][:, :60] |= int(Quality.LOW_TEMPORAL_COHERENCE)
    folder = build_result(tmp_path / "a", layers=layers, subsets=3, notes=("two pairs were listed twice",))
    warnings, notes = findings_of(folder, Level.WARNING), findings_of(folder, Level.NOTE)
    assert "3 subsets" in warnings
    assert "temporal coherence below 0.7" in warnings
    assert "Two pairs were listed twice." in notes
    assert "1 interferogram holds the network together alone" in notes
    assert "no coherence" in notes
    calm = scene(UTM)
    calm["quality"][:] = 0
    calm["velocity"] -= 0.2
    folder = build_result(tmp_path / "b", layers=calm)
    assert findings_of(folder, Level.WARNING) == ""
    notes = findings_of(folder, Level.NOTE)
    assert "Half of the map moves by" in notes
    assert "away from the satellite" in notes
    assert "spans" not in notes


def test_gaps_weigh_by_their_share(tmp_path):
    layers = scene(UTM)
    layers["quality"][:] = 0
    layers["quality"][:2, :4] = Quality.GAP_FILLED
    folder = build_result(tmp_path / "a", layers=layers)
    assert "0.07 % of the valid pixels lack interferograms" in findings_of(folder, Level.NOTE)
    layers["quality"][:, :12] = Quality.GAP_FILLED
    folder = build_result(tmp_path / "b", layers=layers)
    assert "10 % of the valid pixels lack interferograms" in findings_of(folder, Level.WARNING)


def test_the_census_of_the_run_counts_before_that_of_the_preview(tmp_path):
    folder = build_result(
        tmp_path / "out",
        summary={"pixels": {"all": 1000, "no_data": 200, "gap_filled": 80, "low_temporal_coherence": 0}},
    )
    census = ResultFolder(folder).census
    assert census["valid"] == pytest.approx(0.8)
    assert census["gap_filled"] == pytest.approx(0.1)
    assert census["layover"] == 0


def test_an_absent_file_is_a_warning_not_an_end(tmp_path):
    folder = build_result(tmp_path / "out")
    (folder / "layers" / "velocity_std.tif").unlink()
    write_report(folder)
    page = Page(folder / "report.html")
    assert "velocity_std.tif is listed in the manifest but is not in the folder" in page.text
    assert "figures/velocity.png" in page.loaded


def test_damage_is_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"manifest\.json"):
        write_report(tmp_path)
    folder = build_result(tmp_path / "out")
    content = json.loads((folder / "manifest.json").read_text())
    del content["grid"]["transform"]
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="a grid with rows"):
        write_report(folder)
    folder = build_result(tmp_path / "other")
    (folder / "layers" / "velocity.tif").write_bytes(b"no raster")
    with pytest.raises(InputError, match=r"velocity\.tif"):
        write_report(folder)


def test_large_layers_are_read_at_the_size_of_a_figure(tmp_path):
    grid = Grid(2400, 1800, UTM.transform, UTM.crs)
    row = np.arange(2400, dtype=np.float32)[:, None]
    write_layer(tmp_path / "height.tif", row + np.zeros(grid.shape, np.float32), grid, LAYERS["height"])
    preview = read_preview(tmp_path / "height.tif")
    assert preview.values.shape == (1000, 750)
    assert preview.grid == grid
    np.testing.assert_allclose(preview.values[:, 0], (np.arange(1000) + 0.5) * 2.4 - 0.5, atol=1.5)
    flags = np.where(row < 1200, 4, 1).astype(np.uint8) + np.zeros(grid.shape, np.uint8)
    write_layer(tmp_path / "quality.tif", flags, grid, LAYERS["quality"])
    classes = read_preview(tmp_path / "quality.tif", is_class_layer=True).values
    assert set(np.unique(classes)) == {1.0, 4.0}


def test_example_points_are_steady_extremes_without_flags():
    values = np.zeros((20, 20), np.float32)
    values[5, 5] = -9.0  # a single noisy pixel
    values[12:15, 3:6] = -2.0
    values[2:5, 14:17] = 3.0
    values[15:18, 14:17] = 7.0  # strongest, but flagged
    flags = np.zeros((20, 20), np.float32)
    flags[15:18, 14:17] = Quality.LOW_TEMPORAL_COHERENCE
    grid = Grid(20, 20, UTM.transform, UTM.crs)
    points = choose_points(
        Preview(values, grid),
        lambda rows, cols: values[rows, cols],
        quality=Preview(flags, grid),
        reference=RowCol(0, 0),
    )
    away, toward, middle, reference = points
    assert values[away.pixel] == -2.0
    assert values[toward.pixel] == 3.0
    assert values[middle.pixel] == 0.0
    assert reference.pixel == RowCol(0, 0)


def test_example_points_of_a_decimated_layer_are_pixels_of_the_layer():
    full = np.tile(np.linspace(-5, 5, 100, dtype=np.float32), (100, 1))
    full[::2] = np.nan
    decimated = np.nanmean(full.reshape(20, 5, 20, 5), axis=(1, 3)).astype(np.float32)
    grid = Grid(100, 100, UTM.transform, UTM.crs)
    points = choose_points(Preview(decimated, grid), lambda rows, cols: full[rows, cols])
    assert [full[point.pixel] for point in points] == pytest.approx([full[1, 2], full[1, 97], 0.0], abs=0.3)


def test_limits():
    values = np.concatenate([np.linspace(-1, 1, 1000), [500.0, np.nan]])
    low, high = robust_limits(values)
    assert -1 < low < -0.9
    assert 0.9 < high < 1
    assert robust_limits(np.full(5, 3.0)) == (2.5, 3.5)
    assert robust_limits(np.array([np.nan])) == (0.0, 1.0)
    assert symmetric_limit(values, least=0.1) == pytest.approx(0.98, abs=0.011)
    assert symmetric_limit(np.zeros(4), least=1.0) == 1.0


def test_relief_is_lit_from_the_north_west():
    row, col = np.meshgrid(np.arange(40.0), np.arange(40.0), indexing="ij")
    grid = Grid(40, 40, UTM.transform, UTM.crs)
    facing_northwest, facing_southeast = shade_relief(20 * (row + col), grid), shade_relief(-20 * (row + col), grid)
    assert facing_northwest.min() > facing_southeast.max()
    assert shade_relief(np.full((40, 40), 5.0), grid) is None
    assert shade_relief(np.full((40, 40), np.nan), grid) is None


def test_quality_classes_cover_every_flag():
    bits = 0
    for _, members, _ in QUALITY_CLASSES:
        bits |= members
    assert bits == sum(Quality)


def network_axes(pairs):
    return draw_network(pairs).axes[0]


def test_network_places_dates_at_baselines_that_fit_the_pairs():
    days = [date(2020, 1, 1) + timedelta(days=12 * index) for index in range(4)]
    position = [0.0, 80.0, -40.0, 25.0]
    pairs = [
        NetworkPair(days[i], days[j], position[j] - position[i], 0.5) for i, j in itertools.combinations(range(4), 2)
    ]
    axes = network_axes(pairs)
    assert axes.get_ylabel() == "Perpendicular baseline (m)"
    dots = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_allclose(dots.get_ydata(), position, atol=1e-9)


@pytest.mark.parametrize("baseline", [None, 0.0, float("nan")])
def test_network_without_baselines_is_drawn_as_arcs(baseline):
    days = [date(2020, 1, 1) + timedelta(days=12 * index) for index in range(3)]
    pairs = [NetworkPair(*two, baseline) for two in itertools.combinations(days, 2)]
    axes = network_axes(pairs)
    assert axes.get_ylabel() == "Temporal baseline (days)"
    assert max(np.max(line.get_ydata(), initial=0) for line in axes.lines) == pytest.approx(24, rel=0.01)
