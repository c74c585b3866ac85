"""A model made ready to convert as a user wishes, in the process that plans and in those that convert for it."""

from pathlib import Path

from translate.inference.converter import Converter
from translate.inference.derived import as_wished
from translate.inference.options import ModelOptions, OutputOptions
from translate.models.base import Request
from translate.runs.loading import load
from translate.utils.printing import Log, say


def prepared(
    run: Path,
    to: tuple[str, ...],
    style: str | None,
    steps: int | None,
    model: ModelOptions,
    writing: OutputOptions,
    remark: Log = lambda line: None,
) -> tuple[Converter, Request]:
    """The model of `run` and what is asked of it; `remark` is told what is worth knowing of sizes. Raises
    ConfigurationError, as `load`, for what it cannot do."""
    converter = load(run, **vars(model))
    request = converter.request(to, style, steps)
    converter.fitting.tile, converter.depth, converter.log = writing.tile, writing.depth, say
    converter.size, converter.keep_size, converter.remark = writing.size, writing.keep_size == "yes", remark
    converter.derived = as_wished(converter.derived, writing, run)
    converter.sizing(request)  # refuses what is impossible
    return converter, request
