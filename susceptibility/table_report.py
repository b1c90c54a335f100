"""What a person looks at beside the joined table: what its columns are, and how far they say the same."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

import numpy as np

from susceptibility.collinearity import HIGH_VIF, Collinearity, assess_collinearity, write_collinearity
from susceptibility.page import Cell, Row, figure, render_page, section, table, text_cell
from susceptibility.publishing import write_text
from susceptibility.table import Column, Table

_STRONG = 0.8
"""Correlation from which two features are named as saying the same."""


def write_table_report(content: Table, missing: Mapping[str, int], folder: Path) -> Path:
    """Write ``report.html``, ``correlation.csv``, ``vif.csv``, ``loadings.csv`` and the pictures of a table.

    Parameters
    ----------
    content
        From `build_table` or `read_table`.
    missing
        Unknown values of each column, as `write_table` counts them.
    folder
        Made if it is not there.

    Returns
    -------
    Path
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    quantities = [column for column in content.features if column.is_quantity]
    sections = [
        f"<h1>Joined table: {content.rows:,} units</h1>",
        f'<p class="small">{escape(content.kind)}, {escape(content.crs)}</p>',
        section("Targets", *(_target(content, column) for column in content.targets)),
    ]
    if len(quantities) > 1:
        sections += _compared(assess_collinearity(content), folder)
    sections.append(section("Columns", _columns(content, missing)))
    page = folder / "report.html"
    write_text(page, render_page("Joined table", sections))
    return page


def _compared(found: Collinearity, folder: Path) -> list[str]:
    from susceptibility.figures_table import draw_correlation, draw_loadings, draw_vif

    write_collinearity(folder, found)
    pictures = {}
    for name, draw in (("correlation", draw_correlation), ("vif", draw_vif), ("loadings", draw_loadings)):
        pictures[name] = folder / f"{name}.png"
        draw(pictures[name], found)
    strong = "".join(
        f"<li>{escape(first)} and {escape(second)}: {value:+.2f}</li>"
        for first, second, value in found.strongest(_STRONG)
    )
    relations = "".join(
        f"<li>{escape(', '.join(names))}: each follows from the others</li>" for names in found.relations
    )
    inflated = [name for name, vif in zip(found.names, found.vif, strict=True) if np.isfinite(vif) and vif >= HIGH_VIF]
    named = f"<p>Inflated tenfold or more: {escape(', '.join(inflated))}.</p>" if inflated else ""
    constant = f"<p>Without any variation: {escape(', '.join(found.constant))}.</p>" if found.constant else ""
    return [
        section(
            "Correlation",
            f"<p>Of {found.rows:,} units where all features are known; {found.dropped:,} are left out.</p>",
            figure(pictures["correlation"], "Pearson below the diagonal, Spearman above it."),
            f"<p>With a magnitude of {_STRONG} or more:</p><ul>{strong}</ul>" if strong else "",
        ),
        section(
            "Variance inflation",
            figure(pictures["vif"], "How much the variance of a feature's effect is inflated by the other features."),
            named,
            f"<ul>{relations}</ul>" if relations else "",
            constant,
        ),
        section(
            "Principal components",
            figure(pictures["loadings"], "Correlation of each component of standardised features with each feature."),
        ),
    ]


def _target(content: Table, column: Column) -> str:
    values = content.read(column.name)
    known = values[np.isfinite(values)]
    if not known.size:
        return f"<p>{escape(column.name)}: unknown everywhere</p>"
    return (
        f"<p>{escape(column.name)}: above 0 in {int((known > 0).sum()):,} of {known.size:,} units, "
        f"mean {known.mean():.4g}, largest {known.max():.4g} {escape(column.unit)}</p>"
    )


def _columns(content: Table, missing: Mapping[str, int]) -> str:
    rows = [
        Row(
            [
                text_cell(column.name),
                text_cell(column.unit),
                text_cell(column.group or column.role),
                text_cell(column.description + (f" ({column.sign})" if column.sign else "")),
                Cell(f"{missing.get(column.name, 0):,}"),
            ]
        )
        for column in content.columns
    ]
    return table(("Column", "Unit", "Group", "Meaning", "Unknown"), rows)
