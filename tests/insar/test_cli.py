"""The command line as a user types it: output, exit codes and messages."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest


def test_run_prints_the_report(insar, known_stack, tmp_path):
    code, out, _ = insar("run", known_stack.path, "-o", tmp_path / "out", "--reference-rowcol", 3, 4)
    assert code == 0
    assert out.strip().endswith("report.html")
    assert (tmp_path / "out" / "layers" / "velocity.tif").exists()


def test_invert_writes_series_and_quality_alone(insar, known_stack, tmp_path):
    code, _, _ = insar("invert", known_stack.path, "-o", tmp_path / "out", "--weights", "variance", "--quiet")
    assert code == 0
    assert (tmp_path / "out" / "timeseries.h5").exists()
    assert sorted(path.stem for path in (tmp_path / "out" / "layers").iterdir()) == [
        "pairs_used",
        "quality",
        "residual_rms",
        "subsets",
        "temporal_coherence",
    ]


def test_info_and_check(insar, known_stack):
    code, out, _ = insar("info", known_stack.path)
    assert code == 0
    assert "EPSG:32611" in out
    code, out, _ = insar("info", known_stack.path, "--json")
    assert len(json.loads(out)["pairs"]) == len(known_stack.pairs)
    code, out, _ = insar("check", known_stack.path, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["network"]["used"] == len(known_stack.pairs)
    assert report["signs"]["suspect_pairs"] == []
    assert report["signs"]["loops"] > 0


def test_check_finds_a_turned_pair(insar, make_stack):
    import h5py

    stack = make_stack()
    with h5py.File(stack.path, "r+") as sink:
        sink["unwrapPhase"][4] = -sink["unwrapPhase"][4]
    _, out, _ = insar("check", stack.path, "--json")
    name = "_".join(f"{day:%Y%m%d}" for day in stack.pairs[4])
    assert json.loads(out)["signs"]["suspect_pairs"] == [name]


def test_network_table_and_plot(insar, known_stack, tmp_path):
    code, out, _ = insar("network", known_stack.path, "-o", tmp_path / "net", "--connections", 1)
    assert code == 0
    table = (tmp_path / "net" / "network.csv").read_text()
    assert out.strip() == str(tmp_path / "net" / "network.csv")
    assert "more than 1 connections" in table
    assert (tmp_path / "net" / "network.png").stat().st_size > 5000


def test_init_writes_a_configuration_that_runs(insar, known_stack, tmp_path):
    path = tmp_path / "insar.toml"
    assert insar("init", known_stack.path, "-o", path)[0] == 0
    assert "Detected mintpy" in path.read_text()
    code, _, err = insar("init", known_stack.path, "-o", path)
    assert code == 2
    assert "--overwrite" in err
    assert insar("run", path, "-o", tmp_path / "out", "--connections", 2)[0] == 0
    assert "connections = 2" in (tmp_path / "out" / "insar.toml").read_text()


def test_dry_run_writes_nothing(insar, known_stack, tmp_path):
    code, out, _ = insar("run", known_stack.path, "-o", tmp_path / "out", "--dry-run")
    assert code == 0
    assert "Estimate" in out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--weights", "best"], ["--weights"]),
        (["--processor", "gamma9"], ["gamma9"]),
        (["--memory-limit", "lots"], ["--memory-limit", "4GB"]),
        (["--memory-limit", "1kB"], ["--memory-limit"]),
        (["--exclude-dates", "2018-13-01"], ["--exclude-dates", "YYYYMMDD"]),
        (["--exclude-dates", "20300101"], ["20300101"]),
        (["--reference-lonlat", "0", "0"], ["0.0"]),
        (["--reference-rowcol", "900", "0"], ["row 900"]),
        (["--reference-rowcol", "1", "1", "--reference-lonlat", "0", "0"], ["exclude each other"]),
        (["--crs", "EPSG:1"], ["--crs", "EPSG:1"]),
        (["--resolution", "0"], ["--resolution"]),
        (["--bbox", "10", "50", "11", "51"], ["--bbox"]),
        (["--min-coherence", "3"], ["--min-coherence"]),
        (["--workers", "0"], ["--workers"]),
        (["--frobnicate"], ["--frobnicate"]),
    ],
)
def test_wrong_options_end_with_one_message(insar, known_stack, tmp_path, arguments, words):
    code, _, err = insar("run", known_stack.path, "-o", tmp_path / "out", *arguments)
    assert code == 2
    assert "Traceback" not in err
    for word in words:
        assert word in err
    assert not (tmp_path / "out").exists()


def test_wrong_configuration_file(insar, known_stack, tmp_path):
    path = tmp_path / "bad.toml"
    for text, word in [
        ("stack = ", "TOML"),
        (f"stack = '{known_stack.path}'\nwieghts = 'none'", "wieghts"),
        ("weights = 'none'", "stack"),
        (f"stack = '{known_stack.path}'\nconnections = 'many'", "connections"),
    ]:
        path.write_text(text)
        code, _, err = insar("run", path, "-o", tmp_path / "out")
        assert code == 2
        assert word in err
        assert str(path) in err
    code, _, err = insar("run", tmp_path / "nothing", "-o", tmp_path / "out")
    assert code == 2
    assert "no such path" in err


def test_the_unexpected_ends_with_one_and_a_log(insar, known_stack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("insar.readers.open_stack", lambda *_: 1 / 0)
    code, _, err = insar("info", known_stack.path)
    assert code == 1
    log = re.search(r"insar-error-\S+\.log", err)
    assert "ZeroDivisionError" in (tmp_path / log[0]).read_text()


def test_an_interrupted_run_says_that_it_goes_on(insar, known_stack, tmp_path, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("insar.pipeline.run_chain", interrupt)
    code, _, err = insar("run", known_stack.path, "-o", tmp_path / "out")
    assert code == 130
    assert "goes on where it stopped" in err


def test_importing_insar_loads_nothing_heavy():
    heavy = "sklearn xgboost distributed matplotlib geopandas scipy.stats numba dask rasterio h5py pydantic"
    script = f"import sys, insar; print([name for name in {heavy.split()} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
