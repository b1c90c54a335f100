"""The main job on the sample data: interferograms to rates to a susceptibility map. `make demo` runs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

SAMPLES = Path(__file__).resolve().parent
OUTPUT = SAMPLES.parent / "demo"


def run(*command: str | Path) -> None:
    """Run one of the two commands and say so."""
    words = [str(word) for word in command]
    print("$", *words, flush=True)
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", *words], check=True)
    print(f"  {time.perf_counter() - begun:.0f} s\n", flush=True)


def main() -> None:
    """Run the demo."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    stack, rates, susceptibility = SAMPLES / "snap", OUTPUT / "insar", OUTPUT / "susceptibility"
    run("insar", "info", stack)
    run("insar", "run", stack, "-o", rates, "--weights", "coherence")
    run("susceptibility", "run", SAMPLES / "study" / "recipe.toml", "-o", susceptibility, "--insar", rates)
    print("Deformation report:     ", rates / "report.html")
    print("Susceptibility report:  ", susceptibility / "report.html")


if __name__ == "__main__":
    main()
