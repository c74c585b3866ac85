"""Images that do not fit into memory: one of them fails, all others are converted."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
import torch
from child import Workplace
from PIL import Image
from test_converter import Negative
from tiny import CPU, SPEC, write_images

from translate.inference import folder
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.models.base import Request
from translate.utils.out_of_memory import out_of_memory

ENDLESS = 1 << 46
"""More bytes than any machine has, so that every library refuses them at once."""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems promise any amount")
@pytest.mark.parametrize(
    "ask",
    [
        lambda: bytes(ENDLESS),
        lambda: np.zeros(ENDLESS, np.uint8),
        lambda: torch.empty(ENDLESS, dtype=torch.uint8),
        lambda: torch.zeros(1, 1, 1, 1).expand(1, 1, 1 << 22, 1 << 22).contiguous(),
        lambda: cv2.copyMakeBorder(np.zeros((1, 1), np.float64), 0, (1 << 31) - 2, 0, 1 << 14, cv2.BORDER_CONSTANT),
    ],
    ids=["python", "numpy", "torch", "torch contiguous", "opencv"],
)
def test_each_library_is_understood(ask):
    with pytest.raises(Exception) as told:
        ask()
    assert out_of_memory(told.value), repr(told.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("memory"), KeyError(1), None])
def test_other_errors_are_not_taken_for_it(error):
    assert not out_of_memory(error)


@pytest.mark.parametrize("error", [MemoryError("no more"), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
@pytest.mark.parametrize("where", ["read_sample", "write", "convert_pictures"])
def test_one_that_does_not_fit_fails_alone(tmp_path, monkeypatch, where, error):
    """A batch of three: only the largest is at fault."""
    write_images(tmp_path / "in", ["a.png", "c.png"], size=24)
    write_images(tmp_path / "in", ["b.png"], size=23)
    converter = Converter(Negative(), SPEC, CPU)
    owner = converter if where == "convert_pictures" else folder
    whole = getattr(owner, where)

    def short(*arguments, **options):
        first = arguments[0]
        of = [picture.pixels.shape[0] for picture in first] if where == "convert_pictures" else [24]
        if 23 in of or "b.png" in str(first):
            raise error
        return whole(*arguments, **options)

    monkeypatch.setattr(owner, where, short)
    outcome = convert_folder(converter, plan(tmp_path / "in", tmp_path / "out"), Request.to(1), OutputOptions(batch=3))
    assert outcome.counts == {"written": 2, "failed": 1}
    assert "b.png: " in outcome.failed[0].error and "--tile" in outcome.failed[0].error
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png", "c.png"}


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_an_image_too_large_for_the_memory_fails_and_the_rest_is_converted(place: Workplace, generator):
    """For real: once the model is loaded, the process gets a quarter of a gigabyte more and no further byte, which is
    enough to decode the image, and too little for the network."""
    place.photos()
    Image.new("RGB", (3500, 3500)).save(place.folder / "photos" / "large.png", compress_level=1)
    hook = """
        import resource
        from translate.runs import convert as command

        whole = command.convert_folder

        def limited(*arguments, **options):
            pages = int(open("/proc/self/statm").read().split()[0])
            most = pages * resource.getpagesize() + (1 << 28)
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            return whole(*arguments, **options)

        command.convert_folder = limited
    """
    ended = place.run(
        "convert", generator, "photos", "out", "--device", "cpu", "--workers", "1", "--tile", "off", hook=hook
    )
    assert ended.code == 3 and "Traceback" not in ended.err, ended.err
    assert ended.out.strip() == "2 converted, 0 skipped, 1 failed"
    assert "failed: photos/large.png: too large for the memory that is free" in ended.err


def test_a_video_whose_frames_do_not_fit_is_an_error_in_words(tmp_path):
    pytest.importorskip("av", reason='needs PyAV: pip install "image-translate[video]"')
    from test_video import clip

    from translate.errors import TranslateError
    from translate.inference.video import convert_video

    class Large(Negative):
        def convert(self, images, to):
            return torch.empty(ENDLESS)

    source = clip(tmp_path / "clip.mp4", audio=False)
    with pytest.raises(TranslateError, match=r"clip\.mp4: its frames are too large for the memory"):
        convert_video(Converter(Large(), SPEC, CPU), source, tmp_path / "out.mp4", Request.to(1))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
