"""What the JSON files of a trained model say, typed: checkpoint.json, manifest.json and a hub's config.json.

Files of earlier versions lack some keys (see `completed`); those of later ones may have more.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Required, TypeVar, cast

from pydantic import ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict  # typing's own lacks what pydantic needs before Python 3.12

from translate.data.domain import TypeName
from translate.data.io.images import Interpolation
from translate.data.scale import Resize
from translate.errors import TranslateError
from translate.utils.stored import read_json

FORMAT = 1
"""Of checkpoints and hub folders; raised when an older version would misread them."""
Count = Annotated[int, Field(ge=0, le=10**15)]
Positive = Annotated[int, Field(ge=1, le=10**9)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
CropSide = Annotated[int, Field(ge=1, le=4096)]
LoadedSide = Annotated[int, Field(ge=1, le=1 << 20)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)+$")]
_OPEN = ConfigDict(extra="allow", strict=True)


class GroupFacts(TypedDict):
    """Of a `LabelGroup`."""

    size: Positive
    exclusive: bool


class ScaleFacts(TypedDict):
    """See `Scale`."""

    height: Positive
    width: Positive
    side: LoadedSide | tuple[LoadedSide, LoadedSide]
    resize: Resize
    interpolation: Interpolation


class SlicingFacts(TypedDict):
    """See `Slicing`."""

    axis: Literal[0, 1, 2]
    neighbours: Annotated[int, Field(ge=0, le=16)]


class DomainFacts(TypedDict):
    """See `Domain`."""

    name: str
    channels: Annotated[int, Field(ge=1, le=256)]
    span: tuple[float, float]
    dtype: TypeName
    unit: str
    scale: NotRequired[ScaleFacts | None]
    layers: NotRequired[list["DomainFacts"]]
    level: NotRequired[float | None]
    slicing: NotRequired[SlicingFacts | None]


class ImagesFacts(TypedDict):
    """The training images of one domain or set: how many, and the SHA-256 of their names."""

    count: Count
    names: str


class PluginFacts(TypedDict):
    """A plugin that a run was made with: the name and the SHA-256 of its file."""

    name: str
    sha256: Sha256


class Rescheduled(TypedDict):
    """Learning rates and schedules that a resumed run `changed` after a step: then and now, by the setting's key."""

    step: Count
    changed: dict[str, tuple[Any, Any]]


class Facts(TypedDict, total=False):
    """checkpoint.json: all that makes a checkpoint usable without any flag."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    format: int
    step: Required[Count]
    recipe: dict[str, Any]
    channels: Annotated[int, Field(ge=1, le=256)]
    size: CropSide | tuple[CropSide, CropSide]
    domains: list[str]
    groups: list[GroupFacts]
    alternatives: list[list[Count]]
    span: tuple[float, float]
    each: list[DomainFacts]
    skipped: dict[str, str]
    images: dict[str, ImagesFacts]
    processes: Positive
    accumulate: Positive
    total: Positive
    precision: str
    pending: bool
    validation: dict[str, dict[str, float | None]]
    best_l1: float | None
    best: Count | None
    """The step that was the best when this one was saved; missing in checkpoints of earlier versions."""
    best_measured: dict[str, float | None]
    """Its value, by the measure's key."""
    validations_since_best: Count
    stopped_early: bool
    """Whether `training.patience` ended the run."""
    rescheduled: list[Rescheduled]
    versions: dict[str, str]
    plugins: list[PluginFacts]


class HubFacts(Facts, total=False):
    """config.json of a hub folder: the facts of the checkpoint, and whose they are."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    library_name: Required[str]
    sha256: Required[Sha256]


class FileFacts(TypedDict):
    """Of one file in manifest.json."""

    bytes: Count
    sha256: Sha256


Manifest = dict[FileName, FileFacts]


class _Versioned(TypedDict, total=False):
    __pydantic_config__ = _OPEN  # type: ignore[misc]
    format: int


Kind = TypeVar("Kind", bound=Facts)


def read_facts(path: Path, kind: type[Kind]) -> Kind:
    """Reads a file of facts. Raises TranslateError for one of a later format, or with a key of the wrong type."""
    versioned: _Versioned = read_json(path, _Versioned)
    require_format(path, versioned.get("format", FORMAT), FORMAT)
    facts: Kind = read_json(path, kind)
    return completed(facts)


def completed(facts: Kind) -> Kind:
    """The facts, with those that the first versions did not write: they knew no labels, trained with one process on
    whole batches, and left no image out."""
    first = {"groups": [], "alternatives": [], "skipped": {}, "processes": 1, "accumulate": 1, "pending": False}
    return cast(Kind, first | facts)


def require_format(path: Path, found: int, known: int) -> None:
    """Raises TranslateError, naming the file, unless its format is one that this version reads."""
    if not 1 <= found <= known:
        raise TranslateError(
            f"{path}: its format is {found}, and this version of translate reads 1 to {known}: it was written by a "
            "later one; upgrade with `pip install -U image-translate`"
        )
