"""What outputs are called in another format: nothing is overwritten, whatever the names."""

import random
import unicodedata

import numpy as np
import pytest
from PIL import Image
from test_converter import Negative
from tiny import CPU, SPEC, put, write_images

from translate.cli.converting import _report
from translate.data.layouts.listing import iterate_images
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.naming import output_name, renamed
from translate.inference.options import OutputOptions
from translate.inference.records import Outcome, Record
from translate.models.base import Request


def outputs(names, format):
    exceptions = renamed(names, format)
    return {name: exceptions.get(name) or output_name(name, format) for name in names}


def test_a_name_keeps_all_but_its_suffix():
    assert output_name("a b/x.tar.JPG", "png") == "a b/x.tar.png"
    assert output_name("a/x.jpeg", "jpeg") == "a/x.jpeg" and output_name("a/x.PNG", "png") == "a/x.PNG"
    assert output_name("a/x.png", "jpeg") == "a/x.jpg" and output_name("x.tif", "webp") == "x.webp"
    assert output_name("a/x.gif", "same") == "a/x.gif.png" and output_name("a/x.BMP", "same") == "a/x.BMP"


def test_two_files_of_one_stem_are_both_kept():
    assert outputs(["a.jpg", "a.png", "b.jpg"], "png") == {"a.jpg": "a.jpg.png", "a.png": "a.png", "b.jpg": "b.png"}
    # Nobody has a claim.
    assert outputs(["a.jpg", "a.webp"], "png") == {"a.jpg": "a.jpg.png", "a.webp": "a.webp.png"}
    # The name that would be left is another's.
    found = outputs(["a.jpg", "a.png", "a.jpg.png", "a.jpg.webp"], "png")
    assert found["a.png"] == "a.png" and found["a.jpg.png"] == "a.jpg.png" and len(set(found.values())) == 4


def test_names_that_some_systems_take_for_one_are_kept_apart():
    composed, apart = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
    assert outputs(["A.png", "a.png"], "same") == {"A.png": "A.png", "a.png": "a.png.png"}
    assert outputs(["D/x.jpg", "d/X.PNG"], "png") == {"D/x.jpg": "D/x.jpg.png", "d/X.PNG": "d/X.PNG"}
    assert len(set(outputs([composed, apart], "same").values())) == 2


@pytest.mark.parametrize("format", ["same", "png", "jpeg", "webp", "tiff"])
def test_no_two_outputs_are_alike_and_the_order_does_not_matter(format):
    rng = random.Random(0)
    suffixes = [".jpg", ".JPG", ".jpeg", ".png", ".tif", ".gif", ".png.png", ".jpg.png", ".gif.png"]
    for _ in range(300):
        names = list({rng.choice("aAb") + rng.choice(suffixes) + rng.choice(["", ".png", ".jpg"]) for _ in range(9)})
        found = outputs(names, format)
        keys = {unicodedata.normalize("NFC", output).casefold() for output in found.values()}
        assert len(keys) == len(names), found
        rng.shuffle(names)
        assert outputs(names, format) == found


def test_a_folder_in_another_format(run_cli, tiny_recipe, tmp_path):
    from tiny import unpaired_folder

    data = unpaired_folder(tmp_path / "data")
    assert run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "-q").exit_code == 0
    write_images(tmp_path / "photos", ["a.jpg", "a.png", "b.webp", "c.tiff"])
    common = ("convert", "run", "photos", "out", "--to", "B", "-q", "--format", "png")
    result = run_cli(*common)
    assert result.exit_code == 0, result.output
    assert {path.name for path in iterate_images(tmp_path / "out")} == {"a.jpg.png", "a.png", "b.png", "c.png"}
    assert {Image.open(path).format for path in iterate_images(tmp_path / "out")} == {"PNG"}
    # A second run finds all of them.
    assert run_cli(*common).stdout.startswith("0 converted, 4 skipped")
    single = run_cli("convert", "run", "photos/a.png", "one.jpg", "--to", "B", "--format", "png")
    assert single.exit_code == 2 and "named as another format" in single.stderr


def test_an_output_named_by_hand_needs_no_format(tmp_path):
    write_images(tmp_path, ["a.png"])
    (job,) = plan(tmp_path / "a.png", tmp_path / "b.jpg")
    assert job.output == tmp_path / "b.jpg" and job.source == tmp_path / "a.png" and job.name == "a.png"
    (job,) = plan(tmp_path / "a.png", tmp_path / "folder", "jpeg")
    assert job.output == tmp_path / "folder" / "a.jpg"
    with pytest.raises(ConfigurationError, match="the output is the input"):
        plan(tmp_path / "a.png", tmp_path)


@pytest.mark.parametrize("batch", [3, None])
def test_files_do_not_hang_on_batch_size_or_workers(tmp_path, batch):
    write_images(tmp_path / "photos", [f"{index}.png" for index in range(9)])
    write_images(tmp_path / "photos", [f"w{index}.png" for index in range(4)], size=40)
    converter = Converter(Negative(), SPEC, CPU)
    for folder, size, workers in (("one", 1, 1), ("many", batch, 4)):
        jobs = plan(tmp_path / "photos", tmp_path / folder)
        convert_folder(converter, jobs, Request.to(1), OutputOptions(batch=size, workers=workers))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "many" / path.name).read_bytes()
    assert len(list((tmp_path / "many").iterdir())) == 13
    # Kernels round by the size of the batch: on a CPU, where it gains nothing, each image goes alone.
    assert {shape[0] for shape in converter.model.sizes} == {1}


def test_more_pixels_are_read_only_where_allowed(run_cli, tiny_recipe, tmp_path):
    from tiny import unpaired_folder

    data = unpaired_folder(tmp_path / "data")
    assert run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "-q").exit_code == 0
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / "x.png")
    common = ("convert", "run", "x.png", "out", "--to", "B", "-q")
    refused = run_cli(*common, "--max-pixels", "1199")
    assert refused.exit_code == 3 and "more than the limit of 1,199" in refused.stderr
    assert run_cli(*common, "--max-pixels", "1200", "--tile", "7").exit_code == 0
    for option, value in (("--tile", "0"), ("--tile", "some"), ("--batch", "0"), ("--format", "gif")):
        assert run_cli(*common, option, value).exit_code == 2


def test_a_folder_of_links_is_converted_and_told_once_or_refused(tmp_path):
    put(tmp_path / "store", "1.png", "2.png")
    photos = put(tmp_path / "photos", "own.png", "@eaDir/own.png/thumb.jpg", "._own.png")
    for number in (1, 2):
        (photos / f"link{number}.png").symlink_to(f"../store/{number}.png")
    (photos / "broken.png").symlink_to("nowhere.png")
    told = []
    jobs = plan(photos, tmp_path / "out", log=told.append)
    assert [job.name for job in jobs] == ["link1.png", "link2.png", "own.png"]
    assert told == [
        f"note: {photos}: 2 links to files elsewhere are followed; --no-links leaves them out",
        f"note: {photos}: hidden and system files are left out: ._* 1, @eaDir/ 1",
        f"warning: {photos}: links that lead to no file, to a folder or, if they are not followed, out of it are left "
        f"out: 1: {photos / 'broken.png'}",
    ]
    assert [job.name for job in plan(photos, tmp_path / "out", follow_links=False)] == ["own.png"]


def test_one_fault_of_many_files_is_one_line_at_the_end(capsys, tmp_path):
    outcome = Outcome()
    for number in range(20):
        source = tmp_path / f"{number}.png"
        outcome.add(Record(source, tmp_path / "out", "failed", error=f"{source}: the file is empty"))
    _report(outcome, quiet=False)
    said = capsys.readouterr()
    assert said.out == "0 converted, 0 skipped, 20 failed\n"
    first, last = said.err.splitlines()
    assert first.startswith("failed: the file is empty: 20: 0.png, 1.png, ") and first.endswith(f" more in {tmp_path}")
    assert last == "--manifest FILE names every file that failed"


def test_a_folder_with_a_video_only_says_how_videos_are_converted(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "walk.MP4").write_bytes(b"video")
    with pytest.raises(ConfigurationError, match=r"no images found .*; a video is converted by its own name, not its"):
        plan(tmp_path / "clips", tmp_path / "out")
    (tmp_path / "clips" / "walk.MP4").rename(tmp_path / "clips" / "walk.txt")
    with pytest.raises(ConfigurationError, match=r"no images found .*\.txt 1\)$"):
        plan(tmp_path / "clips", tmp_path / "out")
