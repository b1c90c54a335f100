"""What goes wrong in `susceptibility` because of the input, as opposed to a defect of this package.

The messages have the four parts of `insar.errors`: the file or option, what was required, what arrived, what to do.
Every error here is also the `insar` error of the same name, so that ``except InsarError`` catches whatever either
package refuses: a layer of an `insar` result is read through that package's own code and refused by it.
"""

from __future__ import annotations

from insar import errors as insar_errors


class SusceptibilityError(insar_errors.InsarError):
    """The input or the options are wrong; the command line ends with exit code 2."""


class InputError(SusceptibilityError, insar_errors.InputError):
    """The content of a file is not what the model or its neighbours require; also a `ValueError`."""


class MissingInputError(SusceptibilityError, insar_errors.MissingInputError):
    """A file or a folder that is needed is not there; also a `FileNotFoundError`."""


class OptionError(SusceptibilityError, insar_errors.OptionError):
    """An option, a recipe key or an argument has a value that cannot be used; also a `ValueError`."""
