"""What the head of a gallery says of the conversion that it shows."""

from pathlib import Path

from translate.data.domain import in_words
from translate.inference.converter import Converter
from translate.inference.sizing import Sizing
from translate.models.base import Request


def facts_of(run: Path, to: tuple[str, ...], model: Converter, request: Request) -> dict[str, str]:
    """By name; `to` is what the user asked for, empty for a model with one target."""
    target, origin = model.images.translated(request), model.origin
    step = origin.name.removeprefix("step-") if origin and origin.parent.name == "checkpoints" else ""
    facts = {
        "model": str(run),
        "to": ", ".join(to or model.targets),
        "style": request.style.name if request.style else "",
        "steps": str(request.steps or ""),
        "step": f"{int(step):,}" if step else "",
        "translated at": _scale_in_words(model.sizing(request)),
        "values": in_words(target) if target.measured or target.unit else "",
    }
    return {name: fact for name, fact in facts.items() if fact}


def _scale_in_words(sizing: Sizing) -> str:
    if not str(sizing):
        return "their own size"
    return str(sizing) if isinstance(sizing.size, int) else f"{sizing}: {sizing.scale}"
