"""The configuration of a run: every command-line option, once, as a key of a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from insar.acceleration import FALSE_ALARM_RATE
from insar.blocks import parse_bytes
from insar.corrections.build import Troposphere
from insar.corrections.ramp import Deramp
from insar.days import parse_day
from insar.errors import InputError, InsarError, MissingInputError, OptionError
from insar.grid import LonLat, RowCol
from insar.network import NetworkKind, NetworkSelection
from insar.reference import ReferenceChoice
from insar.solver import Norm
from insar.timefunctions import DEFAULT_MODEL
from insar.uncertainty import Uncertainty
from insar.unwrapping import UnwrapCorrection
from insar.velocity import RECENT_DAYS
from insar.weights import Weighting


def _dates(value: Any) -> Any:
    """Accept ``20180106,2018-01-30`` and lists of the same."""
    entries = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(entries, list | tuple):
        return entries
    return tuple(_date(entry) for entry in entries)


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    return parse_day(str(value))


def parse_date(text: str, subject: str) -> date:
    """Day of an option's text; raises `OptionError` where it is none."""
    try:
        return parse_day(text)
    except ValueError:
        raise OptionError(
            subject, required="a date of the form YYYYMMDD", found=repr(text), remedy="Correct it"
        ) from None


def _size(value: Any) -> Any:
    if value is not None:
        parse_bytes(str(value))
    return value


PATHS = {"stack", "more_stacks", "gacos", "era5"}
"""Settings that are paths: in a file they are relative to it."""


class Settings(BaseModel):
    """What a run does; the description of each field is its help text.

    The fields' groups order the help and the configuration file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stack: Path = Field(description="Folder or file of the stack", json_schema_extra={"group": "Input"})
    more_stacks: tuple[Path, ...] = Field(
        (),
        description="Further stacks of the same scene on the same grid, whose interferograms are added",
        json_schema_extra={"group": "Input"},
    )
    processor: str = Field(
        "auto",
        description="Layout of the stack: auto, isce, snap, hyp3, licsar, gamma, roipac, mintpy, scarp or rasters",
        json_schema_extra={"group": "Input"},
    )
    network: NetworkKind = Field(
        NetworkKind.ALL,
        description="Candidate pairs: all, sequential, delaunay, mst or seasonal (sequential, and those within 30 days "
        "of whole years)",
        json_schema_extra={"group": "Network"},
    )
    max_temporal_days: float | None = Field(
        None, description="Longest temporal baseline", json_schema_extra={"group": "Network"}
    )
    max_perp_m: float | None = Field(
        None, description="Longest perpendicular baseline", json_schema_extra={"group": "Network"}
    )
    connections: int | None = Field(
        None, description="Pairs of each date with at most so many later ones", json_schema_extra={"group": "Network"}
    )
    min_coherence: float | None = Field(
        None, description="Least mean coherence of a pair", json_schema_extra={"group": "Network"}
    )
    exclude_dates: Annotated[tuple[date, ...], BeforeValidator(_dates)] = Field(
        (), description="Dates to leave out, YYYYMMDD separated by commas", json_schema_extra={"group": "Network"}
    )
    reference: str = Field(
        "auto", description="Reference point: auto, unless one is given", json_schema_extra={"group": "Reference"}
    )
    reference_lonlat: tuple[float, float] | None = Field(
        None, description="Reference point: longitude and latitude", json_schema_extra={"group": "Reference"}
    )
    reference_rowcol: tuple[int, int] | None = Field(
        None, description="Reference point: row and column of the stack", json_schema_extra={"group": "Reference"}
    )
    reference_size: int = Field(
        1,
        ge=1,
        description="Pixels on a side, odd, of the area around the reference point that is averaged",
        json_schema_extra={"group": "Reference"},
    )
    unwrap_correction: UnwrapCorrection = Field(
        UnwrapCorrection.NONE,
        description="Correction of unwrapping errors: none, closure (of loops, pixel by pixel), bridging (of the "
        "unwrapper's regions), or bridging+closure",
        json_schema_extra={"group": "Unwrapping"},
    )
    weights: Weighting = Field(
        Weighting.NONE,
        description="Weights of the inversion: none, coherence, variance or fisher",
        json_schema_extra={"group": "Inversion"},
    )
    norm: Norm = Field(
        Norm.L2,
        description="Norm of the residuals that is minimised: l2, or l1 against unwrapping errors",
        json_schema_extra={"group": "Inversion"},
    )
    looks: float | None = Field(
        None,
        description="Looks in range times azimuth, where the stack does not say",
        json_schema_extra={"group": "Inversion"},
    )
    solid_earth_tides: bool = Field(
        False,
        description="Subtract the tides of the solid earth (needs the extra weather)",
        json_schema_extra={"group": "Corrections"},
    )
    acquisition_time: str | None = Field(
        None,
        description="Time of day of the acquisitions, HH:MM[:SS] UTC, where the stack does not say",
        json_schema_extra={"group": "Corrections"},
    )
    troposphere: Troposphere = Field(
        Troposphere.NONE,
        description="Correction of the delay in the troposphere: none, height (estimated), gacos or era5 (from files)",
        json_schema_extra={"group": "Corrections"},
    )
    incidence: float | None = Field(
        None,
        gt=0,
        lt=90,
        description="Incidence angle of all pixels in degrees, where the stack does not hold it",
        json_schema_extra={"group": "Corrections"},
    )
    gacos: Path | None = Field(
        None,
        description="Folder of GACOS files, for --troposphere gacos",
        json_schema_extra={"group": "Corrections"},
    )
    era5: Path | None = Field(
        None,
        description="Folder of ERA5 pressure-level files (NetCDF), for --troposphere era5",
        json_schema_extra={"group": "Corrections"},
    )
    deramp: Deramp = Field(
        Deramp.NONE,
        description="Ramp to take out of every date, estimated outside moving areas: none, linear or quadratic",
        json_schema_extra={"group": "Corrections"},
    )
    dem_error: bool = Field(
        False,
        description="Estimate the error of the DEM jointly with the model of time, and take it out of the series",
        json_schema_extra={"group": "Corrections"},
    )
    model: str = Field(
        DEFAULT_MODEL,
        description="Model of time of the rate: linear[+poly:N][+annual][+semiannual][+step:DATE][+exp:DATE:DAYS]"
        "[+log:DATE:DAYS]",
        json_schema_extra={"group": "Rate"},
    )
    uncertainty: Uncertainty = Field(
        Uncertainty.RESIDUAL,
        description="Standard deviation of the rate: residual; covariance, which adds the noise of interferograms as "
        "the network adds it up; or bootstrap over the dates",
        json_schema_extra={"group": "Rate"},
    )
    recent_days: float = Field(
        RECENT_DAYS,
        gt=0,
        description="Trailing window of the recent rate, in days",
        json_schema_extra={"group": "Rate"},
    )
    false_alarm_rate: float = Field(
        FALSE_ALARM_RATE,
        gt=0,
        lt=0.5,
        description="Share of stable pixels that the test for a change of rate may call accelerating",
        json_schema_extra={"group": "Rate"},
    )
    bbox: tuple[float, float, float, float] | None = Field(
        None,
        description="Part of the map to write: west, south, east and north in degrees",
        json_schema_extra={"group": "Output"},
    )
    crs: str | None = Field(
        None,
        description="CRS of the result; the stack's own, or EPSG:4326 for radar coordinates",
        json_schema_extra={"group": "Output"},
    )
    resolution: float | None = Field(
        None, description="Pixel size of the result, in units of its CRS", json_schema_extra={"group": "Output"}
    )
    cluster: str = Field(
        "local",
        description="Where blocks are computed: local (threads), the address of a dask scheduler (tcp://host:port), or "
        "slurm",
        json_schema_extra={"group": "Machine"},
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="Threads, all processors by default; jobs on slurm",
        json_schema_extra={"group": "Machine"},
    )
    memory_limit: Annotated[str | None, BeforeValidator(_size)] = Field(
        None, description="Memory for blocks, such as 4GB", json_schema_extra={"group": "Machine"}
    )

    @model_validator(mode="after")
    def _check_reference(self) -> Settings:
        if self.reference != "auto":
            raise ValueError("reference: 'auto' is the only word; give reference_lonlat or reference_rowcol otherwise")
        if self.reference_lonlat is not None and self.reference_rowcol is not None:
            raise ValueError("reference_lonlat and reference_rowcol exclude each other")
        if self.acquisition_time is not None:
            try:
                time.fromisoformat(self.acquisition_time)
            except ValueError:
                raise ValueError(f"acquisition_time {self.acquisition_time!r}: HH:MM or HH:MM:SS") from None
        if self.reference_size % 2 == 0:
            raise ValueError(f"reference_size {self.reference_size}: an odd number, so that the point is in the middle")
        return self

    @property
    def selection(self) -> NetworkSelection:
        """What is asked of the network."""
        return NetworkSelection(
            kind=self.network,
            max_temporal_days=self.max_temporal_days,
            max_perp_m=self.max_perp_m,
            connections=self.connections,
            min_coherence=self.min_coherence,
            exclude_dates=self.exclude_dates,
        )

    @property
    def reference_choice(self) -> ReferenceChoice:
        """Where the reference is to be."""
        if self.reference_lonlat is not None:
            return LonLat(*self.reference_lonlat)
        if self.reference_rowcol is not None:
            return RowCol(*self.reference_rowcol)
        return self.reference

    @property
    def with_absolute_paths(self) -> Settings:
        """The same settings, whose paths mean the same from any folder."""
        given = {name: getattr(self, name) for name in PATHS}
        return self.model_copy(
            update={
                name: tuple(path.resolve() for path in value) if isinstance(value, tuple) else value.resolve()
                for name, value in given.items()
                if value is not None
            }
        )

    @property
    def time_of_day_s(self) -> float | None:
        """Time of the acquisitions in seconds since midnight UTC, where it was given."""
        if self.acquisition_time is None:
            return None
        at = time.fromisoformat(self.acquisition_time)
        return at.hour * 3600.0 + at.minute * 60.0 + at.second + at.microsecond * 1e-6

    @property
    def memory_bytes(self) -> int | None:
        """Memory limit in bytes."""
        return None if self.memory_limit is None else parse_bytes(self.memory_limit)

    @property
    def scientific(self) -> dict[str, Any]:
        """The settings that the numbers of the result depend on, as plain values: all but those of the machine."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return {name: value for name, value in plain.items() if field_group(name) != "Machine"}


def field_group(name: str) -> str:
    """Group of a setting."""
    extra = Settings.model_fields[name].json_schema_extra
    return str(extra["group"]) if isinstance(extra, dict) else ""


def load_settings(path: Path | str, options: Mapping[str, Any]) -> Settings:
    """Settings of a run.

    Parameters
    ----------
    path
        A stack, or a TOML file (``.toml``) whose paths are relative to it.
    options
        Settings given on the command line, which win over the file's; None is "not given".

    Raises
    ------
    MissingInputError, InputError, OptionError
        If there is no such path, the file is no TOML, or a key or value cannot be used.
    """
    source = Path(path)
    if not source.exists():
        raise MissingInputError(
            source, required="a stack or a configuration file (.toml)", found="no such path", remedy="Check the path"
        )
    values: dict[str, Any] = {"stack": source}
    subject: str | Path = "options"
    if source.suffix == ".toml":
        subject = source
        try:
            values = tomllib.loads(source.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(source, required="a TOML file", found=str(error), remedy="Correct that line") from error
        for name in PATHS & values.keys():
            values[name] = _resolved_paths(values[name], source.parent)
    given = {name: value for name, value in options.items() if value not in (None, [])}
    if given.keys() & {"reference_lonlat", "reference_rowcol"}:
        values = {name: value for name, value in values.items() if not name.startswith("reference")}
    try:
        return Settings.model_validate({**values, **given})
    except ValidationError as error:
        raise _explain(error, subject) from error


def _resolved_paths(value: Any, folder: Path) -> Any:
    if isinstance(value, list | tuple):
        return [_resolved_paths(entry, folder) for entry in value]
    return (folder / value).resolve() if isinstance(value, str | Path) else value


def _explain(error: ValidationError, subject: str | Path) -> InsarError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return OptionError(
            subject,
            required="only known keys: " + ", ".join(Settings.model_fields),
            found=name,
            remedy="Correct the key's name or remove it",
        )
    if first["type"] == "missing":
        return OptionError(subject, required=f"the key {name}", found="no such key", remedy="Add it")
    option = f"--{name.replace('_', '-')}" if subject == "options" and name else f"{subject}: {name or 'settings'}"
    given = first.get("input")
    message = str(first["msg"]).removeprefix("Value error, ")
    return OptionError(
        option,
        required=message[0].lower() + message[1:],
        found=repr(given) if isinstance(given, str | int | float) else "that",
        remedy="See the command's --help",
    )


def render_settings(settings: Settings, comments: Mapping[str, str] | None = None) -> str:
    """The settings as a commented TOML file; `comments` adds to the description of a key."""
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment("Configuration of insar: `insar run THIS_FILE -o OUT`."))
    group = ""
    plain = settings.model_dump(mode="json")
    for name, field in Settings.model_fields.items():
        if field_group(name) != group:
            group = field_group(name)
            document.add(tomlkit.nl())
            document.add(tomlkit.comment(f"---- {group}"))
        document.add(tomlkit.comment(f"{field.description}."))
        extra = (comments or {}).get(name)
        if extra:
            document.add(tomlkit.comment(extra))
        value = plain[name]
        if value is None:
            # TOML has no null: a key that is not set is shown, commented out.
            document.add(tomlkit.comment(f"{name} ="))
        else:
            document.add(name, tomlkit.item(value))
    return tomlkit.dumps(document)
