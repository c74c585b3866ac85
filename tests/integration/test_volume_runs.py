"""Volumes end to end through the commands: trained on, converted in both formats, measured by patient; bad sets."""

import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from support.volume_files import head, tissues, write_enhanced, write_heads, write_nifti, write_series

from translate.cli import main
from translate.data.volumes.reading import look, read

TINY = [
    "model.generator.filters=8",
    "model.generator.levels=4",
    "model.discriminator.filters=8",
    "model.discriminator.layers=2",
    "data.size=32",
    "data.load_size=32",
    "training.batch_size=4",
    "training.epochs=null",
    "training.steps=6",
    "training.ema=null",
]


def _run(*words, code=0):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The same heads as NIfTI and as DICOM, and a run of mr2ct on the former."""
    root = tmp_path_factory.mktemp("volumes")
    for form in ("nifti", "dicom"):
        write_heads(root / form, 4, form)
    _run("train", "mr2ct", "--data", root / "nifti", "--out", root / "run", *TINY)
    return root


def test_nifti_and_dicom_are_translated_alike_and_stay_where_they_are(place, tmp_path):
    source, series = place / "nifti/mr/p01.nii.gz", place / "dicom/mr/p01"
    _run("convert", place / "run", source, tmp_path / "ct.nii.gz")
    _run("convert", place / "run", series, tmp_path / "ct")
    _run("convert", place / "run", series, tmp_path / "too.nii.gz")
    scan = write_enhanced(tmp_path / "scan.dcm", head(1)[0])
    (tmp_path / "into").mkdir()
    _run("convert", place / "run", scan, tmp_path / "into")
    made, truth = look(tmp_path / "ct.nii.gz"), head(1)[1]
    of_series = look(tmp_path / "ct")
    errors = [
        np.abs(read(one).astype(float) - truth).mean() for one in (made, of_series, look(tmp_path / "too.nii.gz"))
    ]
    assert errors[0] == errors[1] == errors[2] > 0
    before, after = nibabel.load(source), nibabel.load(tmp_path / "ct.nii.gz")
    assert (before.affine == after.affine).all() and after.get_data_dtype() == np.int16
    for field in ("qform_code", "sform_code", "pixdim", "xyzt_units", "dim"):
        assert (before.header[field] == after.header[field]).all(), field
    assert of_series.grid == look(series).grid and of_series.unit == "HU"
    of_frames = look(tmp_path / "into/scan")
    assert of_frames.grid == of_series.grid and (read(of_frames) == read(of_series)).all()
    one = pydicom.dcmread(of_series.files[0])
    assert str(one.PatientName) == "Name^p01" and one[0x00091001].value == "private of p01"


def test_a_few_bright_voxels_are_clipped_and_told_and_another_scale_is_refused(place, tmp_path):
    bright, capped = (read(look(place / "nifti/mr/p01.nii.gz")).copy() for _ in range(2))
    where = tuple(np.array([[3, 5, 5], [4, 20, 17], [7, 22, 9]]).T)
    bright[where], capped[where] = 5000, 1023  # the span is 0 to 1023, as of all 16-bit files up to there
    for name, values in (("bright", bright), ("capped", capped), ("louder", bright * 3)):
        write_nifti(tmp_path / f"in/{name}.nii.gz", values)
    said = _run("convert", place / "run", tmp_path / "in", tmp_path / "out", "--manifest", tmp_path / "m.jsonl", code=3)
    assert "louder" in said and "only 0 to 1023 is accepted: rescale them" in said and "2 converted" in said
    note = "3 of 17,280 values beyond 0 to 1023, which mr spans, are clipped; they go from 0 to 5000"
    notes = {Path(row["source"]).name: row["note"] for row in map(json.loads, (tmp_path / "m.jsonl").open())}
    assert notes == {"bright.nii.gz": note, "capped.nii.gz": "", "louder.nii.gz": ""} and note in said
    made, same = (read(look(tmp_path / f"out/{name}.nii.gz")) for name in ("bright", "capped"))
    assert (made == same).all()


def test_folders_of_patients_go_in_and_out_and_go_on(place, tmp_path):
    out = _run("convert", place / "run", place / "dicom/mr", tmp_path / "ct", "--anonymise")
    assert "4 converted" in out and "left out: " in out and "private elements" in out
    assert "4 skipped" in _run("convert", place / "run", place / "dicom/mr", tmp_path / "ct")
    for path in tmp_path.rglob("*.dcm"):
        data = pydicom.dcmread(path)
        assert not str(data.PatientName) and data.PatientIdentityRemoved == "YES"
        assert not any(element.tag.is_private for element in data.iterall())
        assert b"p0" not in path.read_bytes()[:1200]
    bad = tmp_path / "in"
    shutil.copytree(place / "nifti/mr", bad)
    (bad / "p01.nii.gz").write_bytes((bad / "p01.nii.gz").read_bytes()[:900])
    said = _run("convert", place / "run", bad, tmp_path / "out", "--manifest", tmp_path / "list.jsonl", code=3)
    assert "3 converted" in said and "p01.nii.gz: cut, or damaged" in said
    rows = [json.loads(line) for line in (tmp_path / "list.jsonl").read_text().splitlines()]
    assert sorted(row["status"] for row in rows) == ["failed", "written", "written", "written"]
    assert not (tmp_path / "out/p01.nii.gz").exists()


def test_patients_are_measured_one_by_one_and_both_formats_alike(place, tmp_path):
    tables = []
    for form in ("nifti", "dicom"):
        file = tmp_path / f"{form}.json"
        said = _run("evaluate", place / "run", "--data", place / form, "--json", file)
        assert "mean absolute error inside the body, by patient, HU" in said and "SynthRAD 2025's MS-SSIM" in said
        tables.append({(row["key"], row["name"]): row["value"] for row in json.loads(file.read_text())})
    a, b = ({key: value for key, value in table.items() if "patient" in key[1] or ": p" in key[1]} for table in tables)
    assert a == b and len({key for key, _ in a}) == 6
    held = next(name for key, name in a if key == "volume_error" and ": p" in name).split(": ")[1]
    # The same number from the files that convert writes.
    _run("convert", place / "run", place / f"nifti/mr/{held}.nii.gz", tmp_path / "made.nii.gz")
    seed = int(held[1:])
    truth, inside = head(seed)[1], tissues(seed) != 0
    error = np.abs(read(look(tmp_path / "made.nii.gz")).astype(float) - truth)[inside].mean()
    assert error == pytest.approx(a["volume_error", f"to ct: {held}"], rel=0.02)  # the body, by its threshold


def test_masks_of_the_set_are_used(place, tmp_path):
    shutil.copytree(place / "nifti", tmp_path / "set")
    before = _run("data", "check", tmp_path / "set")
    for seed in range(4):
        mask = np.zeros((12, 40, 36), np.uint8)
        mask[4:8, 18:22, 16:20] = 1
        write_nifti(tmp_path / f"set/mask/p{seed:02d}.nii.gz", mask)
    assert "have a mask" not in before and "8 volumes have a mask of the body" in _run(
        "data", "check", tmp_path / "set"
    )
    file = tmp_path / "scores.json"
    assert "the set's own masks" in _run("evaluate", place / "run", "--data", tmp_path / "set", "--json", file)
    (row,) = [r for r in json.loads(file.read_text()) if r["key"] == "volume_error" and "all" not in r["name"]]
    assert row["images"] == 4  # slices with a mask
    write_nifti(tmp_path / "set/mask/p00.nii.gz", np.zeros((12, 40, 20), np.uint8))
    said = _run("data", "check", tmp_path / "set", code=2)
    assert "p00.nii.gz: a mask of 20 x 40 x 12 voxels" in said and "resample the mask" in said


def test_data_check_describes_patients_grids_and_units(place):
    said = _run("data", "check", place / "dicom")
    assert "train: 3 patients, 3 volumes, 36 slices of ct; 3 patients, 3 volumes, 36 slices of mr" in said
    assert "test: 1 patient, 1 volume, 12 slices of ct" in said and "held out by patient" in said
    assert "ct: 4 DICOM; 4 of 36 x 40 x 12 voxels of 1.25 x 1.5 x 3 mm; values in HU" in said
    assert "slices of air are kept" in said and "ready to train on" in said


def test_a_folder_for_each_patient_is_a_layout(tmp_path):
    for seed in range(3):
        for name, values in zip(("mr", "ct"), head(seed), strict=True):
            write_nifti(tmp_path / f"set/p{seed}/{name}.nii.gz", values)
        write_nifti(tmp_path / f"set/p{seed}/mask.nii.gz", np.ones((12, 40, 36), np.uint8))
    said = _run("data", "check", tmp_path / "set")
    assert "a folder for each of 3 patients" in said and "train: 2 patients" in said and "6 volumes have a mask" in said


def test_a_patient_is_never_in_two_splits(tmp_path):
    """Two series of one PatientID, by other names, are held out together, and in no two folders of a split."""
    for seed in range(6):
        for name, values in zip(("mr", "ct"), head(seed), strict=True):
            write_series(tmp_path / f"set/{name}/v{seed}", values, name.upper(), patient=f"patient{seed // 2}")
    said = _run("data", "check", tmp_path / "set")
    assert "train: 2 patients, 4 volumes" in said and "test: 1 patient, 2 volumes" in said
    for name in ("mr", "ct"):
        for seed in range(6):
            to = tmp_path / "split" / ("test" if seed == 1 else "train") / name
            shutil.copytree(tmp_path / f"set/{name}/v{seed}", to / f"v{seed}")
    said = _run("data", "check", tmp_path / "split", code=2)
    assert (
        re.search("volumes of v[01] are in train and in test", said) and "put all volumes of a patient into one" in said
    )


def test_folds_hold_out_patients(place):
    said = _run("data", "check", place / "nifti", "--set", "data.fold=1/3")
    assert "trained on 48 files, measured on 24 others" in said  # two and one of three patients, in both domains


def test_unpaired_volumes_train_a_cyclegan(place, tmp_path):
    tiny = [word for word in TINY if "ema" not in word and "levels" not in word]
    words = ["--data", place / "nifti", "data.layout=unpaired", "model.generator.blocks=1", *tiny]
    said = _run("train", "cyclegan", *words, "--out", tmp_path / "run")
    assert "unpaired volumes" in said
    _run("convert", tmp_path / "run", place / "nifti/ct/p00.nii.gz", tmp_path / "mr.nii.gz", "--to", "mr")
    assert nibabel.load(tmp_path / "mr.nii.gz").get_data_dtype() == np.uint16
    refused = _run("train", "cyclegan", *words[:3], "--out", tmp_path / "x", "data.neighbours=1", code=2)
    assert "data.neighbours" in refused and "leave it out" in refused


def test_other_axes_are_cut_and_kept(place, tmp_path):
    words = ["--data", place / "nifti", *TINY, "data.axis=2", "data.neighbours=0"]
    assert "sagittal slices (data.axis=2)" in _run("train", "mr2ct", *words, "--out", tmp_path / "run")
    _run("convert", tmp_path / "run", place / "nifti/mr/p00.nii.gz", tmp_path / "ct.nii.gz")
    made = look(tmp_path / "ct.nii.gz")
    assert made.grid == look(place / "nifti/mr/p00.nii.gz").grid and read(made).std() > 0


def test_bad_sets_are_refused_in_one_line(place, tmp_path):
    shutil.copytree(place / "nifti", tmp_path / "set")

    def refused(words, *more):
        said = _run("train", "mr2ct", "--data", tmp_path / "set", "--out", tmp_path / "run", *TINY, *more, code=2)
        (line,) = [line for line in said.splitlines() if "error: " in line]
        assert words in line, said

    ct = head(1)[1]
    write_nifti(tmp_path / "set/ct/p01.nii.gz", ct, np.diag([1.0, 1, 3, 1]))
    refused("p01: mr and ct lie on different grids")
    write_nifti(tmp_path / "set/ct/p01.nii.gz", ct[:, :, :30])
    refused("resample one to the other")
    four = nibabel.Nifti1Image(np.zeros((36, 40, 12, 2), np.int16), np.eye(4))
    nibabel.save(four, tmp_path / "set/ct/p01.nii.gz")
    refused("p01.nii.gz: has 4 dimensions, 36 x 40 x 12 x 2, and a volume has 3; save one of its volumes")
    (tmp_path / "set/ct/p01.nii.gz").unlink()
    series = write_series(tmp_path / "set/ct/p01", ct, "CT", names="sorted")
    (series / "IM0006.dcm").unlink()
    refused("1 missing slice between IM0005.dcm and IM0007.dcm")
    shutil.rmtree(series)
    write_series(series, ct, "CT")
    refused("axis", "data.axis=3")


def test_what_volumes_cannot_be_is_refused(place, tmp_path):
    run, source = place / "run", place / "nifti/mr/p00.nii.gz"
    assert "a NIfTI file becomes NIfTI" in _run("convert", run, source, tmp_path / "ct.dcm", code=2)
    assert "the output is the input" in _run("convert", run, source, source, "--overwrite", code=2)
    inside = place / "nifti/mr/out"
    assert "lies in the folder that is converted" in _run("convert", run, place / "nifti/mr", inside, code=2)
    assert "volumes keep the values" in _run("convert", run, source, tmp_path / "x.nii.gz", "--depth", "8", code=2)
    picture = Path(__file__).parents[2] / "docs/pictures/quickstart.png"
    assert "--anonymise is for volumes" in _run("convert", run, picture, tmp_path / "x.png", "--anonymise", code=2)
    refused = _run(
        "train", "mr2ct", "--data", place / "nifti", "--out", tmp_path / "r", "model.generator.kind=unet3d", code=2
    )
    assert "3-D" in refused and "data.neighbours" in refused
