"""What a folder of outputs holds, what is left alone and refused, through the command."""

import json
import sys

import pytest
import torch
from PIL import Image
from test_converter import Negative
from tiny import CPU, SPEC, unpaired_folder, write_images

from translate.data.layouts import listing
from translate.data.layouts.listing import ListingReport, iterate_images
from translate.errors import ConfigurationError
from translate.inference.converter import Converter
from translate.inference.jobs import plan
from translate.inference.provenance import LOCK, MARK, Translation, locked_folder, require_writable, translation
from translate.inference.video import plan_video
from translate.models.base import Request
from translate.networks.foreign import port_state
from translate.networks.resnet import ResnetGenerator
from translate.training.checkpoint import folder_name, save_checkpoint


@pytest.fixture
def generator(tmp_path):
    """A file of another project's, from which to load takes no training."""

    def write(name, seed=0):
        torch.manual_seed(seed)
        torch.save(port_state(ResnetGenerator(3, 3, filters=4, blocks=1)), tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def photos(tmp_path):
    write_images(tmp_path / "photos", ["a.png", "b.png", "c.jpg"], size=16)
    return tmp_path / "photos"


def test_a_folder_of_one_domain_is_not_continued_with_another(run_cli, tiny_recipe, tmp_path, photos):
    data = unpaired_folder(tmp_path / "horse2zebra")
    assert run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "-q").exit_code == 0
    common = ("convert", "run", photos, "out", "-q", "--device", "cpu")
    assert run_cli(*common, "--to", "zebra", "--checkpoint", "2").exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for other, told in (
        (("--to", "horse", "--checkpoint", "2"), "to horse"),
        (("--to", "zebra", "--checkpoint", "4"), "run/step-00000004"),
        (("--to", "horse", "--checkpoint", "2", "--shard", "1/2"), "to horse"),
    ):
        refused = run_cli(*common, *other)
        assert refused.exit_code == 2 and "holds translations by run/step-00000002" in refused.stderr
        assert told in refused.stderr and "--overwrite" in refused.stderr
        assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    again = run_cli(*common, "--to", "zebra", "--checkpoint", "step-00000002", "--precision", "bf16")
    assert again.stdout.strip() == "0 converted, 3 skipped, 0 failed"
    assert run_cli(*common, "--to", "horse", "--overwrite").stdout.startswith("3 converted")
    assert run_cli(*common, "--to", "horse").stdout.startswith("0 converted, 3 skipped")
    assert run_cli(*common, "--to", "zebra", "--checkpoint", "2").exit_code == 2
    assert json.loads((tmp_path / "out" / MARK).read_text())["to"] == ["horse"]
    assert len(list(iterate_images(tmp_path / "out"))) == 3 == len(plan(tmp_path / "out", tmp_path / "next"))


def test_another_generators_file_is_another_translation_even_of_that_name(run_cli, generator, photos):
    assert run_cli("convert", generator("g.pth"), photos, "out", "-q").exit_code == 0
    assert run_cli("convert", generator("g.pth"), photos, "out", "-q").exit_code == 0
    assert "holds translations by g.pth" in run_cli("convert", generator("g.pth", 1), photos, "out", "-q").stderr
    assert "with --eval" in run_cli("convert", generator("g.pth"), photos, "out", "-q", "--eval").stderr


def test_setting_and_clearing_an_attribute_are_two_translations(tmp_path):
    origin = tmp_path / "model.pth"
    origin.write_bytes(b"weights")
    converter = Converter(Negative(), SPEC, CPU, origin)
    on, off = (translation(converter, Request(**{what: frozenset({1})})) for what in ("set", "clear"))
    assert on != off and (on.to, off.to) == (["b"], ["-b"])


def test_folders_without_a_mark_and_single_files_are_as_ever(run_cli, generator, photos, tmp_path):
    write_images(tmp_path / "old", ["a.png"])
    assert run_cli("convert", generator("g.pth"), photos, "old").stdout.startswith("2 converted, 1 skipped")
    assert not (tmp_path / "old" / MARK).exists(), "a.png may be of another"
    assert run_cli("convert", generator("g.pth"), photos / "a.png", "one").exit_code == 0
    assert run_cli("convert", generator("h.pth", 1), photos / "b.png", "one").exit_code == 0
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"a.png", "b.png"}


def test_a_mark_without_images_binds_nobody_and_a_foreign_one_is_told(tmp_path):
    one, two = (Translation("0" * 64, [to], False, "run") for to in ("rose", "lily"))

    def claim(wanted, overwrite=False):
        with locked_folder(tmp_path / "out", wanted, overwrite):
            pass

    claim(one)
    claim(two)
    write_images(tmp_path / "out", ["a.png"])
    with pytest.raises(ConfigurationError, match=r"to lily; these are by .* to rose"):
        claim(one)
    (tmp_path / "out" / MARK).write_text("{}")
    with pytest.raises(ConfigurationError, match=r"\.translate\.json: not one that"):
        claim(one)
    claim(one, overwrite=True)
    assert not (tmp_path / "out" / LOCK).exists()


def test_what_is_cut_short_while_it_converts_again_is_not_continued(run_cli, generator, photos, tmp_path, monkeypatch):
    from translate.runs import convert as command

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    first = ("convert", generator("g.pth"), photos, "out", "-q")
    second = ("convert", generator("h.pth", 1), photos, "out", "-q")
    assert run_cli(*first).exit_code == 0
    with monkeypatch.context() as patched:
        patched.setattr(command, "convert_folder", killed)
        assert run_cli(*second, "--overwrite").exit_code == 130
    for line in (first, second):
        refused = run_cli(*line)
        assert refused.exit_code == 2 and "by h.pth" in refused.stderr and "mixed with others" in refused.stderr
    assert run_cli(*second, "--overwrite").exit_code == 0
    assert run_cli(*second).stdout.startswith("0 converted, 3 skipped")


def test_what_an_earlier_conversion_left_under_other_names_is_told_and_not_taken_for_the_new_one(
    run_cli, generator, photos, tmp_path
):
    first, second = ("convert", generator("g.pth"), photos, "out"), ("convert", generator("h.pth", 1), photos, "out")
    assert "stays where it is" not in run_cli(*first).stderr
    ended = run_cli(*second, "--format", "png", "--overwrite")
    assert ended.exit_code == 0 and "note: what this conversion did not write stays where it is: 1: out/c.jpg\n" in (
        ended.stderr
    )
    refused = run_cli(*second)
    assert refused.exit_code == 2 and "mixed with others" in refused.stderr, "c.jpg is the other model's"
    ended = run_cli(*second, "--overwrite")
    assert "it is: 1: out/c.png\n" in ended.stderr
    (tmp_path / "out/c.png").unlink()
    half = run_cli(*second, "--shard", "1/2", "--overwrite")
    assert half.exit_code == 0 and "stays" not in half.stderr, "the other shard's are no others"
    assert run_cli(*second).stdout.startswith("0 converted, 3 skipped")


@pytest.mark.parametrize("output", ["file", "file/deeper/out", "/proc/xx"])
def test_an_output_that_cannot_be_is_told_before_the_model_is_loaded(run_cli, photos, tmp_path, output):
    if output.startswith("/proc") and sys.platform != "linux":
        pytest.skip("only Linux has /proc")
    (tmp_path / "file").write_text("here before")
    # There is no such run, which loading would tell.
    result = run_cli("convert", "nowhere", photos, output)
    assert result.exit_code == 2 and f"{output}: cannot be written into" in result.stderr
    beside = run_cli("convert", "nowhere", photos, "out", "--manifest", f"{output}/rows.jsonl")
    assert beside.exit_code == 2 and "cannot be written into" in beside.stderr
    folder = run_cli("convert", "nowhere", photos, "out", "--manifest", photos)
    assert folder.exit_code == 2 and f"--manifest {photos}: is a folder; expected the name of a file" in folder.stderr
    assert not (tmp_path / "out").exists()
    require_writable(tmp_path / "new" / "deeper")
    assert not (tmp_path / "new").exists()


def test_an_output_that_goes_away_is_told_with_the_files_name(run_cli, generator, tmp_path):
    write_images(tmp_path / "photos" / "deep", ["a.png"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").write_text("a file")
    result = run_cli("convert", generator("g.pth"), "photos", "out")
    assert result.exit_code == 3 and "out/deep/a.png: cannot be written: " in result.stderr


def test_files_of_other_kinds_are_told_in_one_line(run_cli, generator, photos):
    for name in ("1.heic", "2.HEIC", "deep/3.heic", "x.dcm", "Makefile", ".hidden.heic", "a.png.cycle-error.png"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(b"words")
    result = run_cli("convert", generator("g.pth"), photos, "out")
    assert result.exit_code == 0 and result.stdout.startswith("3 converted")
    assert "note: 5 files of other kinds left alone: .heic 3, no suffix 1, .dcm 1\n" in result.stderr
    assert "left alone" not in run_cli("convert", generator("g.pth"), photos, "out", "-q").stderr
    for image in iterate_images(photos):
        image.unlink()
    (photos / "x.dcm").unlink()  # which alone would be a volume
    assert ".heic 3, no suffix 1" in run_cli("convert", generator("g.pth"), photos, "out").stderr


def test_other_kinds_are_counted_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "KINDS", 3)
    for number in range(9):
        (tmp_path / f"x.{number}").touch()
    seen = ListingReport()
    assert list(iterate_images(tmp_path, seen)) == []
    assert len(seen.others) == 4 and seen.others[""] == 6 and seen.others.total() == 9


@pytest.mark.parametrize("name", ["out.gif", "out.HEIC", "out.svg", "out.mp4"])
def test_an_output_named_as_a_kind_that_is_not_written_is_refused(tmp_path, name):
    write_images(tmp_path, ["a.png"])
    with pytest.raises(ConfigurationError, match=r"not written here; name a file that ends in .*\.png"):
        plan(tmp_path / "a.png", tmp_path / name)
    (tmp_path / name).mkdir()
    (job,) = plan(tmp_path / "a.png", tmp_path / name)
    assert job.output == tmp_path / name / "a.png"
    with pytest.raises(ConfigurationError, match=r"ends in \.mp4"):
        plan_video(tmp_path / "clip.mp4", tmp_path / "b.gif")


def test_the_manifest_may_lie_in_the_new_output_and_its_rows_are_there_at_once(
    run_cli, generator, photos, tmp_path, monkeypatch
):
    from translate.runs import convert as command

    whole = command.convert_folder

    def watched(*arguments, done, **options):
        def row_and_file(record):
            done(record)
            rows = [json.loads(line) for line in (tmp_path / "out" / "m.jsonl").read_text().splitlines()]
            assert rows[-1]["output"] == str(record.output) and record.output.is_file()

        return whole(*arguments, done=row_and_file, **options)

    with monkeypatch.context() as patched:
        patched.setattr(command, "convert_folder", watched)
        result = run_cli("convert", generator("g.pth"), photos, "out", "--manifest", "out/m.jsonl", "-q")
    assert result.exit_code == 0, result.output
    assert len((tmp_path / "out" / "m.jsonl").read_text().splitlines()) == 3
    single = run_cli(
        "convert", generator("g.pth"), photos / "a.png", "one.png", "--manifest", tmp_path / "rows" / "m.jsonl"
    )
    assert single.exit_code == 0 and (tmp_path / "rows" / "m.jsonl").is_file()


def test_an_output_without_a_row_gets_it_where_it_is_surely_of_this_translation(run_cli, generator, photos, tmp_path):
    manifest = tmp_path / "m.jsonl"
    line = ("convert", generator("g.pth"), photos, "out", "--manifest", "m.jsonl", "-q")
    assert run_cli(*line).exit_code == 0
    first, *others = manifest.read_text().splitlines()
    manifest.write_text("\n".join(others) + "\n" + first[:9])  # a process was killed
    assert run_cli(*line).stdout.startswith("0 converted, 3 skipped")
    rows = manifest.read_text().splitlines()[3:]
    told = {row["output"]: (row["status"], row["note"]) for row in map(json.loads, rows)}
    missed = json.loads(first)["output"]
    assert told.pop(missed) == ("written", "by an earlier conversion, of which there was no row")
    assert list(told.values()) == [("skipped", "")] * 2
    manifest.unlink()  # a new one is of what is done from now on
    assert run_cli(*line).exit_code == 0 and set(_statuses(manifest)) == {"skipped"}
    manifest.write_text("")
    (tmp_path / "out" / MARK).unlink()  # the images may be anybody's
    assert run_cli(*line).exit_code == 0 and set(_statuses(manifest)) == {"skipped"}


def _statuses(manifest):
    return [json.loads(row)["status"] for row in manifest.read_text().splitlines()]


def test_options_that_would_do_nothing_are_refused(run_cli, generator, photos, tmp_path):
    (tmp_path / "run").mkdir()
    for run, option, told in (
        ("run", ("--eval",), "another project's generator"),
        ("x.onnx", ("--eval",), "another project's generator"),
        (generator("g.pth"), ("--checkpoint", "4"), "has no checkpoints to choose from"),
    ):
        result = run_cli("convert", run, photos, "out", *option)
        assert result.exit_code == 2 and told in result.stderr, result.output


def test_an_attribute_is_not_set_and_cleared_at_once():
    class Attributes(Negative):
        attributes = (0, 1)

        def targets(self):
            return [0, 1]

    converter = Converter(Attributes(), SPEC, CPU)
    with pytest.raises(ConfigurationError, match="set or cleared, not both"):
        converter.request(["a", "b", "-a"])
    assert converter.request(["a", "-b", "a"]) == Request(frozenset({0}), frozenset({1}))


@pytest.mark.parametrize(("format", "kind"), [("jpg", "JPEG"), ("tif", "TIFF")])
def test_formats_are_known_by_their_suffixes_too(run_cli, generator, photos, tmp_path, format, kind):
    assert run_cli("convert", generator("g.pth"), photos / "a.png", "out", "--format", format, "-q").exit_code == 0
    (path,) = (tmp_path / "out").iterdir()
    with Image.open(path) as image:
        assert image.format == kind


def test_a_checkpoint_is_known_by_its_folders_name(tmp_path):
    from translate.training.checkpoint import load_checkpoint

    save_checkpoint(tmp_path, 6, {}, {})
    assert load_checkpoint(tmp_path, "6").folder == load_checkpoint(tmp_path, folder_name(6)).folder
    with pytest.raises(ConfigurationError, match="saved steps: 6"):
        load_checkpoint(tmp_path, "step-x")
