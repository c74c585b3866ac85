"""Grids of samples: what stands where, and which columns make none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from translate.reporting.tracking import is_marked, places_in, save_grid, save_pictures


class TestGrid:
    def test_pixels_stand_where_they_belong(self, tmp_path: Path) -> None:
        left = torch.stack([torch.full((3, 40, 60), -1.0), torch.full((3, 40, 60), 1.0)])
        right = torch.zeros(2, 3, 40, 60)
        right[0, 0], right[0, 1:] = 1.0, -1.0  # red above grey
        path = tmp_path / "samples" / "step-00000100.png"
        save_grid(path, {"input": left, "output": right})
        with Image.open(path) as file:
            assert file.format == "PNG" and file.mode == "RGB"
            pixels = np.asarray(file)

        gutter, caption = 6, 6 + 14 + 6
        assert pixels.shape == (caption + 2 * (40 + gutter), gutter + 2 * (60 + gutter), 3)
        x = [gutter, gutter + 60 + gutter]
        y = [caption, caption + 40 + gutter]
        assert (pixels[y[0] : y[0] + 40, x[0] : x[0] + 60] == 0).all()
        assert (pixels[y[1] : y[1] + 40, x[0] : x[0] + 60] == 255).all()
        assert (pixels[y[0] : y[0] + 40, x[1] : x[1] + 60] == (255, 0, 0)).all()
        assert (pixels[y[1] : y[1] + 40, x[1] : x[1] + 60] == 128).all()
        gutters = np.ones(pixels.shape[:2], dtype=bool)
        gutters[:caption] = False
        for top in y:
            for start in x:
                gutters[top : top + 40, start : start + 60] = False
        assert (pixels[gutters] == 255).all()
        for start in x:
            assert (pixels[:caption, start : start + 30] < 100).any(), "no caption above the column"
        assert [file.name for file in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize(
        ("channels", "shown"),
        [(1, (0, 0, 0)), (2, (0, 0, 0)), (3, (0, 128, 255)), (4, (0, 128, 255)), (7, (0, 128, 255))],
    )
    def test_any_number_of_channels(self, tmp_path: Path, channels: int, shown: tuple[int, int, int]) -> None:
        images = (
            torch.tensor([-1.0, 0.0, 1.0, -1.0, -1.0, -1.0, -1.0])[:channels].view(1, -1, 1, 1).expand(1, -1, 20, 20)
        )
        save_grid(tmp_path / "grid.png", {"": images})
        with Image.open(tmp_path / "grid.png") as file:
            assert file.getpixel((10, file.height - 10)) == shown

    def test_it_says_where_its_pictures_are(self, tmp_path: Path) -> None:
        """So that a page can show one beside another, or lay them over each other."""
        colours = [[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (9, 9, 9)]]
        sizes = [[(40, 30), (20, 50)], [(24, 16), (8, 8)]]
        columns = {
            caption: [Image.new("RGB", sizes[row][column], colours[row][column]) for row in (0, 1)]
            for column, caption in enumerate(("p\u00f8t\udcff", "a caption wider than its pictures"))
        }
        save_pictures(tmp_path / "grid.png", columns, ["one.png", "two.png"])
        assert is_marked(tmp_path / "grid.png")
        places = places_in(tmp_path / "grid.png")
        assert places and places.columns == list(columns) and places.rows == ["one.png", "two.png"]
        with Image.open(tmp_path / "grid.png") as file:
            for row, boxes in enumerate(places.boxes):
                for column, (left, top, width, height) in enumerate(boxes):
                    assert (width, height) == sizes[row][column]
                    part = np.asarray(file.crop((left, top, left + width, top + height)))
                    assert (part == colours[row][column]).all()

    def test_a_grid_of_before_says_nothing_of_places(self, tmp_path: Path) -> None:
        Image.new("RGB", (8, 8)).save(tmp_path / "grid.png")
        assert places_in(tmp_path / "grid.png") is None

    def test_long_captions_take_lines_and_other_sizes_fit(self, tmp_path: Path) -> None:
        caption, row = "translated to another domain", "a/long/name/of/a/file/without/any/space-" + "x" * 40
        columns = {caption: [Image.new("RGB", (8, 8), (9, 9, 9))], "large": [Image.new("RGB", (100, 90), (9, 9, 9))]}
        save_pictures(tmp_path / "grid.png", columns, [row])
        with Image.open(tmp_path / "grid.png") as file:
            pixels = np.asarray(file)
        gutter, narrowest, line = 6, 56, 14 + 6
        assert pixels.shape[1] == gutter + narrowest + gutter + 100 + gutter, "no wider than its pictures"
        assert (pixels[:, -6:] == 255).all() and (pixels[-6:] == 255).all()
        places = places_in(tmp_path / "grid.png")
        assert places and places.columns == [caption, "large"] and places.rows == [row]
        [left, top, *_], [beside, same, *_] = places.boxes[0]
        assert top == same >= gutter + 4 * line + 3 * line, "captions and name in lines"
        assert (pixels[top : top + 8, left : left + 8] == 9).all() and (pixels[top:, beside:-6][:90] == 9).all()
        inked = (pixels[: 5 * line, : left + narrowest + gutter] < 200).any(axis=(1, 2))
        starts = np.flatnonzero(inked[1:] & ~inked[:-1])
        assert len(starts) >= 3, "the caption stands in several lines"

    @pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
    def test_any_precision_and_a_graph(self, tmp_path: Path, precision: torch.dtype) -> None:
        images = torch.ones(1, 3, 20, 20, dtype=precision, requires_grad=True)
        save_grid(tmp_path / "grid.png", {"a": images * 0.5 - 2})  # out of range: clamped to black
        with Image.open(tmp_path / "grid.png") as file:
            assert file.getpixel((10, file.height - 10)) == (0, 0, 0)

    @pytest.mark.parametrize(
        "columns",
        [{}, {"a": torch.zeros(0, 3, 4, 4)}, {"a": torch.zeros(1, 3, 4, 4), "b": torch.zeros(2, 3, 4, 4)}],
    )
    def test_columns_that_make_no_grid_are_refused(self, tmp_path: Path, columns: dict[str, torch.Tensor]) -> None:
        with pytest.raises(ValueError, match="one image per row"):
            save_grid(tmp_path / "grid.png", columns)
        assert not list(tmp_path.iterdir())
