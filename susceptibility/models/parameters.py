"""Constructor parameters by name, as scikit-learn's tools expect of an estimator."""

from __future__ import annotations

import inspect
from typing import Any, Self

from susceptibility.errors import OptionError


class Parameters:
    """Gives a class that only stores its constructor's arguments the methods that `sklearn.base.clone` needs."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002  (scikit-learn's name)
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters: Any) -> Self:
        """Change arguments of the constructor; raises `OptionError` for one that is unknown."""
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise OptionError(
                    f"parameter of {type(self).__name__}",
                    required=f"one of {', '.join(known)}",
                    found=repr(name),
                    remedy="Correct the name",
                )
            setattr(self, name, value)
        return self
