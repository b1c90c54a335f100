"""A result folder that comes into being as a whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from insar.errors import OptionError
from insar.writers.manifest import NAME as MANIFEST
from insar.writers.manifest import read_manifest

_SCRATCH = ".work"


@contextmanager
def new_result(output: Path, product: str, *, overwrite: bool) -> Iterator[Path]:
    """A folder whose content becomes the result at the end of the ``with`` block; nothing is left after an error.

    Parameters
    ----------
    output
        Result folder, to be made.
    product
        What the result is of: ``product`` in the configuration that its manifest tells.
    overwrite
        Replace an earlier result of the same product.

    Raises
    ------
    OptionError
        The folder holds something else.
    """
    require_free(output, product, overwrite=overwrite)
    is_new = not output.exists()
    scratch = output / _SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    products = scratch / "products"
    products.mkdir(parents=True)
    done = False
    try:
        yield products
        _publish(products, output)
        done = True
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if is_new and not done:
            output.rmdir()


def require_free(output: Path, product: str, *, overwrite: bool) -> None:
    """Refuse a folder that holds anything but an earlier result of this product that may be replaced."""
    if not output.exists() or (output.is_dir() and not any(entry.name != _SCRATCH for entry in output.iterdir())):
        return
    found, remedy = "a file" if output.is_file() else "files that are no result of it", "Choose another folder"
    if (output / MANIFEST).is_file():
        configuration = read_manifest(output).get("configuration")
        if isinstance(configuration, dict) and configuration.get("product") == product:
            if overwrite:
                return
            found, remedy = "an earlier result", "Choose another folder, or add --overwrite"
        else:
            found = "another result of insar"
    raise OptionError(f"--output {output}", required=f"a new or empty folder for {product}", found=found, remedy=remedy)


def _publish(products: Path, output: Path) -> None:
    """Give the products their final names, the manifest last: a folder with a manifest is whole."""
    earlier = read_manifest(output) if (output / MANIFEST).is_file() else {}
    (output / MANIFEST).unlink(missing_ok=True)
    for entry in (*earlier.get("layers", ()), *earlier.get("files", ())):
        (output / entry["file"]).unlink(missing_ok=True)
    for entry in sorted(products.iterdir(), key=lambda entry: (entry.name == MANIFEST, entry.name)):
        target = output / entry.name
        if target.is_dir():
            shutil.rmtree(target)
        entry.replace(target)
