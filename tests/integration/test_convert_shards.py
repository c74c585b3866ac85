"""A folder shared out among machines, and the manifest of what became of each file."""

import json

import pytest
import torch
from test_converter import Negative
from tiny import CPU, SPEC, write_images

from translate.errors import ConfigurationError
from translate.inference import folder as module
from translate.inference.converter import Converter
from translate.inference.folder import convert_folder
from translate.inference.jobs import plan
from translate.inference.options import OutputOptions
from translate.models.base import Request


@pytest.fixture
def photos(tmp_path):
    write_images(tmp_path / "photos", [f"{index}.png" for index in range(12)])
    write_images(tmp_path / "photos" / "deeper", [f"{index}.png" for index in range(12)])
    return tmp_path / "photos"


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_parts_are_disjoint_and_make_the_whole(photos, tmp_path, parts):
    jobs = plan(photos, tmp_path / "out")
    shares = [jobs.shard(number, parts) for number in range(1, parts + 1)]
    assert sorted(job.name for share in shares for job in share) == sorted(job.name for job in jobs)
    assert all(shares), "24 files leave no part of five empty"


def test_a_files_part_hangs_on_its_name_alone(photos, tmp_path):
    before = {job.name for job in plan(photos, tmp_path / "out").shard(1, 2)}
    moved = photos.rename(tmp_path / "elsewhere")
    (moved / "0.png").unlink()
    after = {job.name for job in plan(moved, tmp_path / "other").shard(1, 2)}
    assert after == before - {"0.png"}


def test_parts_out_of_range_are_refused(photos, tmp_path):
    with pytest.raises(ConfigurationError, match="expected 1/3 to 3/3"):
        plan(photos, tmp_path / "out").shard(4, 3)


def test_records_tell_of_every_file(photos, tmp_path):
    (photos / "broken.png").write_bytes(b"no image")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.png").write_bytes(b"here before")
    converter = Converter(Negative(), SPEC, CPU)
    records = []
    jobs = plan(photos, tmp_path / "out")
    outcome = convert_folder(converter, jobs, Request.to(1), OutputOptions(batch=3), done=records.append)
    assert len(records) == 25 and outcome.counts == {"written": 23, "skipped": 1, "failed": 1}
    assert outcome.failed == [record for record in records if record.status == "failed"]
    of = {record.source.relative_to(photos).as_posix(): record for record in records}
    assert of["broken.png"].status == "failed" and "broken.png" in of["broken.png"].error
    assert of["1.png"].status == "skipped" and of["1.png"].size is None
    written = of["deeper/1.png"]
    assert written.status == "written" and written.size == (24, 24) and written.seconds > 0 and not written.error
    assert (tmp_path / "out" / "1.png").read_bytes() == b"here before"


@pytest.mark.parametrize("where", ["read_sample", "write"])
def test_what_is_no_fault_of_a_file_ends_the_conversion(photos, tmp_path, monkeypatch, where):
    """A mistake of ours is not told as failed files with exit code 3."""

    def broken(*_):
        raise ArithmeticError("a mistake")

    monkeypatch.setattr(module, where, broken)
    with pytest.raises(ArithmeticError, match="a mistake"):
        convert_folder(Converter(Negative(), SPEC, CPU), plan(photos, tmp_path / "out"), Request.to(1))


def test_the_command_line_shards_and_lists(run_cli, tiny_recipe, tmp_path, photos, monkeypatch):
    from tiny import unpaired_folder

    data = unpaired_folder(tmp_path / "data")
    assert run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "-q").exit_code == 0
    common = ("convert", "run", photos, "out", "--to", "B", "--manifest", "rows.jsonl", "-q")
    assert run_cli(*common, "--shard", "1/2").exit_code == 0
    # The second as torchrun would start it.
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert run_cli(*common).exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 24 and {row["status"] for row in rows} == {"written"}
    assert len(list((tmp_path / "out").rglob("*.png"))) == 24
    wrong = run_cli(*common, "--shard", "half")
    assert wrong.exit_code == 2 and "expected I/N" in wrong.output


def test_a_batch_has_the_same_pictures_as_single_ones(photos, tmp_path):
    converter = Converter(Negative(), SPEC, CPU)
    for folder, batch in (("one", 1), ("many", 7)):
        convert_folder(converter, plan(photos, tmp_path / folder), Request.to(1), OutputOptions(batch=batch, workers=3))
    names = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.png"))
    assert len(names) == 24
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "many" / name).read_bytes()
    assert torch.is_grad_enabled()
