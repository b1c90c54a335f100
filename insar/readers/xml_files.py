"""XML sidecars, which come from strangers: parsed with defusedxml, failing with the name of the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from insar.errors import InputError


def parse_xml(path: Path) -> Element:
    """Root element of an XML file.

    Raises
    ------
    InputError
        The file is absent, does not parse, or declares entities.
    """
    from defusedxml import ElementTree

    with _named_failure(path):
        root: Element | None = ElementTree.parse(path).getroot()
    if root is None:
        raise _unusable(path, "no element")
    return root


def iterate_xml(path: Path) -> Iterator[Element]:
    """Elements of an XML file, each when it is complete: inner ones before the ones around them.

    Raises
    ------
    InputError
        As `parse_xml`.
    """
    from defusedxml import ElementTree

    with _named_failure(path), path.open("rb") as stream:
        for _, element in ElementTree.iterparse(stream):
            yield element


@contextmanager
def _named_failure(path: Path) -> Iterator[None]:
    from defusedxml import DefusedXmlException

    try:
        yield
    except OSError as error:
        raise _unusable(path, "no such file" if isinstance(error, FileNotFoundError) else str(error)) from error
    except ParseError as error:
        raise _unusable(path, f"a syntax error: {error}") from error
    except DefusedXmlException as error:
        raise _unusable(path, f"a declaration that is not allowed: {error}") from error


def _unusable(path: Path, found: str) -> InputError:
    return InputError(
        path,
        required="the XML header of a raster or product",
        found=found,
        remedy="Copy it again from where it was processed",
    )
