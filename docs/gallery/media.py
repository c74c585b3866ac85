"""Makes the pictures of the pages on clips and on sound, from trained runs.

python docs/gallery/media.py film RUN                     # the roll-out of two test clips above what truly follows
python docs/gallery/media.py sound NOISY TRANSLATED CLEAN # spectrograms of three files of the same sentence
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from translate.data.sound.kind import coloured, domain_of
from translate.data.sound.source import Sound
from translate.data.sound.spectrum import Spectrum
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import load_model
from translate.training.runtime import choose_runtime

PICTURES = Path(__file__).resolve().parents[1] / "pictures"
GAP, LINE, WHITE, BLACK = 2, 14, (255, 255, 255), (0, 0, 0)


def film(run: Path, clips: int = 2) -> Image.Image:
    """Frames in, then predicted ones above true ones, under captions; a pair of rows a clip."""
    loaded = load_model(run)
    recipe, runtime = loaded.recipe, choose_runtime("cpu", "float32")
    images = open_data(recipe.data, recipe.method.batch_type, print, loaded.images.kinds)
    runtime.adopt(loaded.model)
    loaded.model.eval()
    strip = images.film(loaded.model, clips, runtime)
    if strip is None:
        raise SystemExit(f"{run}: no run on clips that are long enough")
    columns = {name: _pixels(frames) for name, frames in strip.columns(loaded.model, runtime).items()}
    side = next(iter(columns.values())).shape[1]
    step, names = side + GAP, ("predicted", "truth")
    whole = Image.new("RGB", (60 + step * len(columns), LINE + step * 2 * clips), WHITE)
    draw = ImageDraw.Draw(whole)
    for x, (caption, frames) in enumerate(columns.items()):
        draw.text((60 + x * step + side // 2, 1), caption, BLACK, anchor="ma")
        for y, frame in enumerate(frames):
            whole.paste(Image.fromarray(frame), (60 + x * step, LINE + y * step))
    for y in range(2 * clips):
        draw.text((2, LINE + y * step + side // 2), names[y % 2], BLACK, anchor="lm")
    return whole


def sound(paths: list[Path]) -> Image.Image:
    """Spectrograms one below the other: time to the right, low frequencies below, brighter the louder."""
    spectrum = Spectrum()
    shown = []
    for path in paths:
        samples, _ = Sound(path, spectrum).samples()
        planes = spectrum.planes(spectrum.of(torch.from_numpy(samples)))[None]
        shown.append(_pixels(coloured(planes, domain_of("sound", spectrum)))[0])
    height, width = shown[0].shape[:2]
    whole = Image.new("RGB", (width, (height + LINE + GAP) * len(shown)), WHITE)
    for y, (name, pixels) in enumerate(zip(("noisy", "translated", "clean"), shown, strict=True)):
        top = y * (height + LINE + GAP)
        ImageDraw.Draw(whole).text((2, top + 1), name, BLACK)
        whole.paste(Image.fromarray(pixels), (0, top + LINE))
    return whole


def _pixels(images: torch.Tensor) -> np.ndarray:
    """Images (batch, 3, height, width) in [-1, 1] as (batch, height, width, 3), uint8."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    picture = film(Path(given[0])) if what == "film" else sound([Path(one) for one in given])
    picture.save(PICTURES / f"{what}.jpg", quality=80, optimize=True)
