"""Parts of HTML pages that open offline: sections, pictures inside the page, tables."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.55 system-ui, sans-serif; color: #22272b; background: #fbfaf8; margin: 0; }
main { max-width: 1190px; margin: 0 auto; padding: 2.2rem 1.4rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; border-bottom: 1px solid #ddd8ce; padding-bottom: .25rem; }
p.lead { font-size: 1.08rem; background: #fff; border-left: 4px solid #c1440e; padding: .7rem 1rem; margin: 1rem 0; }
p.warning { border-left-color: #b3261e; background: #fdecea; font-weight: 600; }
p.small, td.small { color: #5a6268; font-size: .88rem; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; background: #fff; border: 1px solid #e4dfd5; }
figcaption { color: #5a6268; font-size: .88rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem; background: #fff; }
th, td { padding: .28rem .6rem; border-bottom: 1px solid #ebe6dc; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, th.text, td.text { text-align: left; }
th { background: #f2eee6; font-weight: 600; } tr.group td { border-top: 2px solid #cfc8ba; }
td.gain { color: #2e7d4f; font-weight: 600; } td.loss { color: #b3261e; font-weight: 600; }
td small { color: #5a6268; font-weight: 400; } td.wide { white-space: normal; }
summary { cursor: pointer; color: #1f6f8b; margin: .4rem 0; }
ul { padding-left: 1.2rem; }
"""


def render_page(title: str, sections: Sequence[str]) -> str:
    """Put a page together of HTML; everything it needs is in it."""
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>\n"
        + "\n".join(sections)
        + "\n</main></body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """A part of a page under a heading."""
    return f"<section><h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def figure(file: Path, caption: str) -> str:
    """A picture inside the page, with its caption."""
    encoded = base64.b64encode(file.read_bytes()).decode("ascii")
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{encoded}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a table's cell, what stands below it in small print, and its style."""

    text: str
    below: str = ""
    style: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Cells of a table's row; `starts_group` draws a line above it."""

    cells: Sequence[Cell]
    starts_group: bool = False


def text_cell(value: str) -> Cell:
    """A cell of words, aligned left."""
    return Cell(value, style="text")


def table(header: Sequence[str], rows: Sequence[Row]) -> str:
    """A table with a header."""
    styles = [cell.style for cell in rows[0].cells] if rows else [""] * len(header)
    head = "".join(
        f'<th class="{"text" if style.startswith("text") else ""}">{escape(name)}</th>'
        for name, style in zip(header, styles, strict=True)
    )
    body = "".join(
        f'<tr class="{"group" if row.starts_group else ""}">' + "".join(map(_cell, row.cells)) + "</tr>\n"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _cell(cell: Cell) -> str:
    below = f"<br><small>{escape(cell.below)}</small>" if cell.below else ""
    return f'<td class="{cell.style}">{escape(cell.text)}{below}</td>'
