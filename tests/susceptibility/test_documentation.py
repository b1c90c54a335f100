"""The documentation names every key of a recipe with its default, every model, scheme and score, and real commands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args, get_origin

import numpy as np
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from susceptibility.models import MODELS
from susceptibility.partitions import SCHEMES
from susceptibility.recipe import Recipe, parse_recipe

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := section_of(each)) is not None), None)


def keys_of_recipes(section: type[BaseModel], place: str = "") -> dict[str, dict[str, str]]:
    """Default of each key, as TOML writes it, by the table that the key is of."""
    tables: dict[str, dict[str, str]] = {}
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        own = f"{place}.{name}".lstrip(".")
        if inner is None:
            default = field.get_default(call_default_factory=True)
            text = "required" if default is PydanticUndefined else "none" if default is None else json.dumps(default)
            tables.setdefault(f"[{place}]", {})[name] = text
        elif get_origin(field.annotation) is tuple:
            tables[f"[[{name}]]"] = keys_of_recipes(inner, name)[f"[{name}]"]
        else:
            tables |= keys_of_recipes(inner, own + ".NAME" if get_origin(field.annotation) is dict else own)
    return tables


def documented_keys() -> dict[str, dict[str, str]]:
    """The same, as docs/recipe-keys.md has it."""
    tables: dict[str, dict[str, str]] = {}
    table = ""
    for line in (DOCS / "recipe-keys.md").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"#+ `(\[.*\])`", line):
            table = heading[1]
            tables[table] = {}
        elif row := re.fullmatch(r"\| `(\w+)` \| (?:`(.*?)`|(none|required)) \| .+ \|", line):
            tables[table][row[1]] = row[2] or row[3]
    return tables


def test_every_key_of_a_recipe_is_documented_with_its_default():
    expected = keys_of_recipes(Recipe)
    assert set(expected.pop("[]")) == {"feature_sets"}
    assert documented_keys() == {**expected, "[feature_sets]": {}}


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_recipes_in_the_documentation_are_read(page):
    """Every block of TOML that has tables of a recipe, put beside what any recipe needs."""
    import tomllib

    text = (DOCS / page).read_text(encoding="utf-8")
    for block in re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL):
        content = tomllib.loads(block)
        if not content.keys() <= Recipe.model_fields.keys():
            continue
        content.setdefault("factors", {}).setdefault("dem", "dem.tif")
        content.setdefault("inventory", {}).setdefault("path", "landslides.gpkg")
        content["factors"].setdefault("distances", {"road": "roads.gpkg"})
        content["factors"].setdefault("categories", {"lithology": "lithology.tif"})
        content["factors"].setdefault("insar", {"path": "insar", "absolute": ["velocity"]})
        parse_recipe(content, page)


def test_models_and_schemes_are_documented():
    models = (DOCS / "models.md").read_text(encoding="utf-8")
    validation = (DOCS / "validation.md").read_text(encoding="utf-8")
    assert [name for name in MODELS if f"`{name}`" not in models] == []
    assert [name for name in SCHEMES if f"`{name}`" not in validation] == []


def test_metrics_are_documented():
    from susceptibility.metrics import DENSITY_METRICS, METRICS

    validation = (DOCS / "validation.md").read_text(encoding="utf-8")
    assert [name for name in {**METRICS, **DENSITY_METRICS} if f"`{name}`" not in validation] == []


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """Commands of `susceptibility` in the blocks of a page: their name, and their long options."""
    found = []
    for block in re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if command := re.match(r"susceptibility (\w+)(.*)", line):
                found.append((command[1], re.findall(r"--[a-z-]+", command[2].split(" #")[0])))
    return found


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in DOCS.glob("*.md"))])
def test_commands_in_the_documentation_exist(page):
    import typer.main

    from susceptibility.cli import app

    group: Any = typer.main.get_command(app)
    for name, options in commands_in((ROOT / page).read_text(encoding="utf-8")):
        assert name in group.commands, f"{page}: susceptibility {name}"
        known = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert set(options) <= known, f"{page}: susceptibility {name} {set(options) - known}"


def test_examples_in_python_run(tmp_path):
    from susceptibility.bundle import Bundle, write_bundle

    def example(page: str) -> str:
        (block,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
        return block

    names: dict[str, Any] = {}
    exec(compile(example("models.md"), "models.md", "exec"), names)
    X, y, model = names["X"], names["y"], names["model"]
    assert ((names["probability"] > 0.5) == y).all()
    write_bundle(tmp_path / "bundle", Bundle.of([model], title="example", feature_set="example", training=X))
    names = {"folder": tmp_path / "bundle"}
    exec(compile(example("maps.md"), "maps.md", "exec"), names)
    assert names["names"] == ["slope", "rock"]
    assert np.isnan(names["predictions"]).all()
    assert np.array_equal(names["bundle"].models[0].predict(X), model.predict(X))
