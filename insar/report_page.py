"""The HTML of reports: one page that opens offline, from plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape
from typing import Any

_CSS = """
:root { --ink: #1f2933; --soft: #52606d; --line: #dfe3e8; --paper: #ffffff; --accent: #0b5394; }
* { box-sizing: border-box; }
body { margin: 0; background: #f4f5f7; color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", Arial, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 2rem 2.5rem 4rem; background: var(--paper); }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; padding-bottom: .3rem; border-bottom: 2px solid var(--line); }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .5rem 0; max-width: 46rem; }
.subtitle { color: var(--soft); margin: 0 0 1.2rem; max-width: none; overflow-wrap: anywhere; }
a { color: var(--accent); }
nav { font-size: .9rem; margin-bottom: 1.4rem; }
nav a { margin-right: 1.1rem; white-space: nowrap; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--soft); }
table.facts th { width: 15rem; }
table.list th, table.list td:first-child, td.mono { white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.finding { border-left: 5px solid; padding: .5rem .9rem; margin: .5rem 0; font-size: .95rem; }
.finding p { margin: 0; max-width: none; }
.warning { border-color: #c0392b; background: #fdf0ee; }
.note { border-color: #7b8794; background: #f3f5f7; }
.finding strong { margin-right: .4rem; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: .88rem; margin-top: .3rem; max-width: 46rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1.5rem; align-items: start; }
details { margin: .8rem 0; }
summary { cursor: pointer; font-weight: 600; }
code, .mono { font-family: ui-monospace, "Liberation Mono", monospace; font-size: .85em; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 760px) { main { padding: 1rem; } .pair { grid-template-columns: 1fr; }
  table.facts th { width: 9rem; } }
@media print { body { background: none; } main { max-width: none; padding: 0; } h2 { break-after: avoid; }
  figure, .finding { break-inside: avoid; } }
"""


class Level(StrEnum):
    """How much a finding matters."""

    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a reader must know before trusting the numbers."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the page: its file relative to the page, what it shows, and how to read it."""

    source: str
    title: str
    caption: str


@dataclass(slots=True)
class Section:
    """A part of the page under one heading; `body` is HTML."""

    name: str
    title: str
    body: list[str] = field(default_factory=list)


def render_page(
    title: str, subtitle: str, findings: Sequence[Finding], sections: Sequence[Section], footer: str
) -> str:
    """Put the page together; everything it needs but the pictures is in it."""
    shown = [section for section in sections if section.body]
    links = "".join(f'<a href="#{escape(section.name)}">{escape(section.title)}</a>' for section in shown)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_CSS}</style></head><body><main>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="subtitle">{escape(subtitle)}</p>',
        f"<nav>{links}</nav>",
        _findings(findings),
        *(
            f'<section id="{escape(section.name)}"><h2>{escape(section.title)}</h2>{"".join(section.body)}</section>'
            for section in shown
        ),
        f"<footer>{escape(footer)}</footer>",
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def facts_table(facts: Iterable[tuple[str, str]]) -> str:
    """Names and values, one row each."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts)
    return f'<table class="facts">{rows}</table>'


def list_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """A table with a header; the columns in `numbers` are aligned right. Cells are text."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td{' class=' + chr(34) + 'number' + chr(34) if index in numbers else ''}>{escape(cell)}</td>"
            for index, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f'<table class="list"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def files_table(rows: Iterable[tuple[str, str, str, str, str]]) -> str:
    """Files with name, relative path, unit, meaning and checksum."""
    body = "".join(
        f'<tr><td><a href="{escape(path)}">{escape(name)}</a></td><td>{escape(unit)}</td><td>{escape(meaning)}</td>'
        f'<td class="mono" title="{escape(checksum)}">{escape(checksum[:12])}</td></tr>'
        for name, path, unit, meaning, checksum in rows
    )
    return (
        '<table class="list"><thead><tr><th>Layer or file</th><th>Unit</th><th>Meaning</th><th>SHA-256</th></tr>'
        f"</thead><tbody>{body}</tbody></table>"
    )


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{escape(text)}</p>"


def heading(text: str) -> str:
    """A heading inside a section."""
    return f"<h3>{escape(text)}</h3>"


def picture(shown: Picture) -> str:
    """A figure with its caption."""
    return (
        f'<figure><img src="{escape(shown.source)}" alt="{escape(shown.title)}" loading="lazy">'
        f"<figcaption><strong>{escape(shown.title)}.</strong> {escape(shown.caption)}</figcaption></figure>"
    )


def pictures(shown: Sequence[Picture]) -> str:
    """Figures side by side, two in a row."""
    return f'<div class="pair">{"".join(picture(one) for one in shown)}</div>' if shown else ""


def folded(title: str, body: str) -> str:
    """HTML that opens on demand."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def nested_table(values: Mapping[str, Any]) -> str:
    """Any mapping of plain values, nested ones with dotted names."""
    return facts_table(_flattened(values))


def _flattened(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _text(value)


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value) or "none"
    return str(value)


def _findings(findings: Sequence[Finding]) -> str:
    ordered = sorted(findings, key=lambda finding: finding.level is not Level.WARNING)
    names = {Level.WARNING: "Warning", Level.NOTE: "Note"}
    return "".join(
        f'<div class="finding {finding.level}">'
        f"<p><strong>{names[finding.level]}</strong>{escape(finding.text)}</p></div>"
        for finding in ordered
    )
