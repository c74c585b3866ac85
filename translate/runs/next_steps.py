"""What can be done next with a model or a data set, in words with commands that can be pasted."""

from collections.abc import Sequence
from pathlib import Path

from translate.data.clips.window import window_of
from translate.data.domain import Domain
from translate.errors import command
from translate.models.base import Sampler
from translate.recipe.reading import recipe_of
from translate.runs.loading import checkpoint_in
from translate.runs.not_a_run import holds_model


def using(model: Path) -> str:
    """How to use the model in a run, a hub's folder or a file for `translate convert`. Raises TranslateError."""
    if model.is_file():
        return f"convert with {command('convert', model, 'photos/', 'out/')}"
    checkpoint = checkpoint_in(model, "latest")
    method, domains = recipe_of(checkpoint.facts, model).method, checkpoint.facts["domains"]
    if issubclass(method, Sampler):
        return f"generate images with {command('sample', model, 'samples/')}"
    to = [] if method.batch_type.pairs else ["--to", domains[-1]]
    converted = _converted([Domain.of(facts) for facts in checkpoint.facts.get("each") or ()])
    return f"convert with {command('convert', model, *converted, *to)}"


def _converted(each: Sequence[Domain]) -> tuple[str, str]:
    """What a model between these domains converts, and what that becomes, in names that say which kind they are."""
    if any(domain.sound for domain in each):
        return "noisy/", "out/"
    if any(domain.slicing for domain in each):
        return "patients/", "out/"
    if len(each) == 2 and window_of(*each):
        return "clip.mp4", "out.mp4"
    return "photos/", "out/"


def using_exported(out: Path, files: Sequence[Path]) -> list[str]:
    """How to use what was exported to `out`, in these files; empty if it is for other programs only."""
    ours = [out] if out.is_dir() and holds_model(out) else [file for file in files if file.suffix in (".onnx", ".pth")]
    return [using(model) for model in ours]


def training_on(folder: str, kind: str, settings: Sequence[str] = ()) -> str:
    """How to train on a data set of that kind, "paired", "unpaired", "labelled", "sound" or "clips", read by these
    settings."""
    known = {"paired": "pix2pix", "unpaired": "cyclegan", "sound": "speech", "clips": "next-frame"}
    recipe = known.get(kind, "stargan")
    return f"train with {command('train', recipe, '--data', folder, *settings)}"
