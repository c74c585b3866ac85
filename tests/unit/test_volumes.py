"""Volumes: read in their own values, turned alike, and written like their source to the bit; bad ones are refused."""

import gzip
import shutil
import struct
import warnings
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from nibabel.testing import data_path
from pydicom.data import get_testdata_file
from support.volume_files import head, write_enhanced, write_nifti, write_series

from translate.data.volumes import dicom_writing, nifti
from translate.data.volumes.anonymising import KEPT, anonymised
from translate.data.volumes.dicom_writing import Stored
from translate.data.volumes.grid import slices_along, turned_by
from translate.data.volumes.reading import look, read
from translate.data.volumes.slices import stacked
from translate.data.volumes.volume_file import type_of_values
from translate.errors import ConfigurationError, ImageError

MR, CT = head(1)


def _bytes_of(path, but=("descrip",)):
    header = nibabel.load(path).header
    return {key: header[key].tobytes() for key in header if key not in but}


# ---- how they lie


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SAR", "PIL", "ASL"])
def test_volumes_lie_alike_whatever_the_order_of_axes_in_the_file(tmp_path, codes):
    there = nibabel.load(write_nifti(tmp_path / "a.nii", CT))
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(there.affine), nibabel.orientations.axcodes2ornt(codes)
    )
    nibabel.save(there.as_reoriented(turn), tmp_path / "b.nii")
    one, other = look(tmp_path / "a.nii"), look(tmp_path / "b.nii")
    assert one.grid.same_as(other.grid) and other.grid.apart(one.grid) < 1e-4
    assert (read(other) == CT).all() and (read(one) == CT).all()


def test_turning_goes_back_and_keeps_the_place_of_each_voxel():
    values = np.arange(24).reshape(2, 3, 4)
    affine = np.array([[0, 0, -2, 5], [3, 0, 0, 6], [0, 1.5, 0, 7], [0, 0, 0, 1.0]])
    turned = turned_by(affine)
    assert (turned.back(turned(values)) == values).all()
    grid = turned.grid(affine, values.shape)
    where = np.argwhere(turned(values) == values[1, 2, 3])[0]
    assert np.allclose(np.array(grid.affine) @ [*where, 1], affine @ [1, 2, 3, 1])
    # To the head, to the back and to the left.
    assert (np.diag(np.array(grid.affine)[[2, 1, 0], [0, 1, 2]]) == np.diag([1.5, -3, -2])).all()


def test_slices_across_each_axis_are_views_with_the_head_up():
    values = np.arange(24).reshape(2, 3, 4)
    assert slices_along(values, 1).shape == (3, 2, 4) and slices_along(values, 2).shape == (4, 2, 3)
    assert (slices_along(values, 1)[0] == values[::-1, 0]).all()
    into = np.zeros_like(values)
    for axis in (0, 1, 2):
        for made, slice_of in zip(slices_along(into, axis), slices_along(values, axis), strict=True):
            made[:] = slice_of
        assert (into == values).all()
        into[:] = 0


def test_slices_are_thickest_where_they_are_farthest_apart(tmp_path):
    assert look(write_nifti(tmp_path / "a.nii", CT)).grid.thickest == 0
    assert look(write_nifti(tmp_path / "b.nii", CT, np.diag([1.0, 4, 1, 1]))).grid.thickest == 1
    assert look(write_nifti(tmp_path / "c.nii", CT, np.diag([4.0, 1, 1, 1]))).grid.thickest == 2
    assert look(write_nifti(tmp_path / "d.nii", CT, np.diag([1.0, 1, 1, 1]))).grid.thickest == 0


def test_neighbours_are_further_channels_and_ends_are_repeated():
    slices = np.arange(4)[:, None, None]
    assert stacked(slices, 0, 1).tolist() == [[[0, 0, 1]]]
    assert stacked(slices, 2, 1).tolist() == [[[1, 2, 3]]]
    assert stacked(slices, 3, 2).tolist() == [[[1, 2, 3, 3, 3]]]


# ---- NIfTI


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_nifti_file_is_written_like_its_source_to_the_bit(tmp_path, name):
    source = write_nifti(tmp_path / name, CT, descrip=b"scanner 7", cal_max=300)
    nifti.write(tmp_path / f"out-{name}", CT, look(source))
    made = nibabel.load(tmp_path / f"out-{name}")
    assert (made.affine == nibabel.load(source).affine).all()
    assert _bytes_of(source, ("descrip", "cal_max")) == _bytes_of(tmp_path / f"out-{name}", ("descrip", "cal_max"))
    assert b"not for diagnosis" in made.header["descrip"].item() and made.header["cal_max"] == 0
    assert (np.asarray(made.dataobj) == np.asarray(nibabel.load(source).dataobj)).all()


def test_floats_stay_floats_beside_a_source_of_integers(tmp_path):
    file = look(write_nifti(tmp_path / "a.nii.gz", CT))
    values = (CT / 7).astype(np.float32)
    nifti.write(tmp_path / "b.nii.gz", values, file)
    made = nibabel.load(tmp_path / "b.nii.gz")
    assert made.get_data_dtype() == np.float32 and (read(look(tmp_path / "b.nii.gz")) == values).all()


def test_the_same_values_give_the_same_file(tmp_path):
    file = look(write_nifti(tmp_path / "a.nii.gz", CT))
    for name in ("b.nii.gz", "c.nii.gz"):
        nifti.write(tmp_path / name, CT, file)
    assert (tmp_path / "b.nii.gz").read_bytes() == (tmp_path / "c.nii.gz").read_bytes()


def test_slope_and_intercept_of_nifti_are_applied(tmp_path):
    path = write_nifti(tmp_path / "a.nii", MR)
    raw = bytearray(path.read_bytes())
    raw[112:120] = struct.pack("<ff", 2.0, -24.0)
    path.write_bytes(raw)
    file = look(path)
    assert file.dtype == "int32" and (read(file) == MR.astype(int) * 2 - 24).all()
    raw[112:120] = struct.pack("<ff", 0.5, 0.0)
    path.write_bytes(raw)
    assert look(path).dtype == "float32" and np.allclose(read(look(path)), MR / 2)


def test_volumes_that_nibabel_ships_are_read_and_written(tmp_path):
    """anatomical.nii is a real head; example4d and functional have a fourth dimension and are refused."""
    path = f"{data_path}/anatomical.nii"
    there = shutil.copy(path, tmp_path / "a.nii")
    file = look(tmp_path / "a.nii")
    assert sorted(file.grid.shape) == [25, 33, 41]
    nifti.write(tmp_path / "b.nii", read(file), file)
    assert (np.asarray(nibabel.load(tmp_path / "b.nii").dataobj) == np.asarray(nibabel.load(there).dataobj)).all()
    assert (nibabel.load(tmp_path / "b.nii").affine == nibabel.load(there).affine).all()
    for name in ("example4d.nii.gz", "functional.nii"):
        shutil.copy(f"{data_path}/{name}", tmp_path / name)
        with pytest.raises(ImageError, match=rf"{name}: has 4 dimensions, .* a volume has 3; save one of its volumes"):
            look(tmp_path / name)


def test_a_cut_or_lying_nifti_file_is_refused_before_anything_is_allocated(tmp_path):
    whole = write_nifti(tmp_path / "a.nii", CT).read_bytes()
    (tmp_path / "cut.nii").write_bytes(whole[:3000])
    with pytest.raises(ImageError, match=r"cut\.nii: too short for the 36 x 40 x 12 voxels that its header claims"):
        look(tmp_path / "cut.nii")
    packed = gzip.compress(whole)
    (tmp_path / "cut.nii.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ImageError, match=r"cut\.nii\.gz: cut, or damaged"):
        read(look(tmp_path / "cut.nii.gz"))
    claims = bytearray(whole)
    claims[40:56] = struct.pack("<8h", 3, 20000, 20000, 5, 1, 1, 1, 1)
    (tmp_path / "lie.nii.gz").write_bytes(gzip.compress(bytes(claims)))
    with pytest.raises(ImageError, match=r"lie\.nii\.gz: too short for the 20000 x 20000 x 5 voxels"):
        look(tmp_path / "lie.nii.gz")
    claims[40:56] = struct.pack("<8h", 3, 32000, 32000, 32000, 1, 1, 1, 1)
    (tmp_path / "huge.nii").write_bytes(claims)
    with pytest.raises(ImageError, match="its header claims 32000 x 32000 x 32000 voxels, which is not read"):
        look(tmp_path / "huge.nii")
    (tmp_path / "text.nii").write_text("no volume")
    with pytest.raises(ImageError, match=r"text\.nii: cannot be read as NIfTI"):
        look(tmp_path / "text.nii")


# ---- DICOM


def test_a_series_is_ordered_by_places_and_means_what_nifti_means(tmp_path):
    """Names and numbers of its files are shuffled, and CT is stored with an intercept."""
    series = look(write_series(tmp_path / "ct", CT, "CT", intercept=-1024))
    assert (read(series) == CT).all() and series.unit == "HU" and series.patient == "p01"
    assert look(write_nifti(tmp_path / "a.nii", CT)).grid.same_as(series.grid)
    assert look(write_series(tmp_path / "mr", MR)).unit == ""
    assert (read(look(tmp_path / "mr")) == MR).all()


def test_a_series_as_nifti_lies_where_it_lay(tmp_path):
    series = look(write_series(tmp_path / "ct", CT, "CT", intercept=-1024))
    nifti.write(tmp_path / "a.nii.gz", CT, series)
    made = look(tmp_path / "a.nii.gz")
    assert made.grid.apart(series.grid) < 1e-4 and (read(made) == CT).all()
    assert nibabel.aff2axcodes(nibabel.load(tmp_path / "a.nii.gz").affine) == ("L", "P", "S")


def test_a_derived_series_says_where_it_came_from_and_keeps_the_rest(tmp_path):
    source = look(write_series(tmp_path / "mr", MR))
    dicom_writing.write(tmp_path / "ct", CT, source, "HU")
    made = look(tmp_path / "ct")
    assert (read(made) == CT).all() and made.grid == source.grid and made.unit == "HU"
    before, after = pydicom.dcmread(source.files[0]), pydicom.dcmread(made.files[0])
    assert after.ImageType[:2] == ["DERIVED", "SECONDARY"] and "not for diagnosis" in after.DerivationDescription
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientName", "PatientID", "InstitutionName"):
        assert after[name] == before[name]
    assert after[0x00091001].value == "private of p01"
    assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert after.SOPInstanceUID != before.SOPInstanceUID and after.SeriesInstanceUID != before.SeriesInstanceUID
    assert after.Modality == "CT" and after.SOPClassUID.name == "CT Image Storage" and "EchoTime" not in after
    uids = {pydicom.dcmread(path).SOPInstanceUID for path in made.files}
    assert len(uids) == len(made.files)


def test_a_folder_that_is_no_derived_series_is_not_replaced(tmp_path):
    source = look(write_series(tmp_path / "mr", MR))
    dicom_writing.write(tmp_path / "ct", CT, source, "HU")
    dicom_writing.write(tmp_path / "ct", CT, source, "HU")
    assert len(list((tmp_path / "ct").iterdir())) == len(CT)
    (tmp_path / "ct" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="is there already, and not a series that was derived"):
        dicom_writing.write(tmp_path / "ct", CT, source, "HU")
    with pytest.raises(ConfigurationError, match="choose another folder"):
        dicom_writing.write(tmp_path / "mr", CT, source, "HU")
    assert (tmp_path / "ct" / "notes.txt").exists() and not list(tmp_path.glob(".translate-*"))


def test_a_series_that_cannot_be_written_leaves_nothing(tmp_path):
    source = look(write_series(tmp_path / "mr", MR))
    values = CT.astype(np.float32)
    values[3, 2, 2] = np.nan
    with pytest.raises(ImageError, match="not finite"):
        dicom_writing.write(tmp_path / "ct", values, source, "HU")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mr"]


@pytest.mark.parametrize(
    ("values", "unit", "kind", "slope", "intercept"),
    [
        ([-1000, 3000], "HU", "int16", 1, 0),
        ([-1000.4, 3000.6], "HU", "int16", 1, 0),
        ([0, 65535], "", "uint16", 1, 0),
        ([-40000, 20000], "", "uint16", 1, -40000),
    ],
)
def test_whole_numbers_are_stored_as_such(values, unit, kind, slope, intercept):
    values = np.array(values)
    stored = Stored.of(values, unit)
    assert (stored.type, stored.slope, stored.intercept) == (np.dtype(kind), slope, intercept)
    assert np.abs(stored(values).astype(float) * slope + intercept - values).max() <= 0.5


def test_other_values_are_stored_finely_and_none_is_clipped():
    values = np.linspace(-0.3, 2.7, 1000)
    stored = Stored.of(values, "")
    assert np.abs(stored(values) * stored.slope + stored.intercept - values).max() < 3 / 65535
    with pytest.raises(ImageError, match="do not fit into uint16"):
        stored(np.array([3.0]))
    with pytest.raises(ImageError, match="do not fit into int16"):
        Stored(np.dtype(np.int16), 1.0, 0.0)(np.array([32768]))


def _change(path, **changed):
    data = pydicom.dcmread(path)
    for key, value in changed.items():
        setattr(data, key, value)
    data.save_as(path)


def test_bad_series_are_refused_in_one_line_that_names_them(tmp_path):
    good = write_series(tmp_path / "good", CT, "CT", names="sorted")
    files = sorted(path.name for path in good.iterdir())

    def refused(match, spoil):
        bad = tmp_path / "bad"
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(good, bad)
        spoil(bad)
        with pytest.raises(ImageError, match=match) as error:
            read(look(bad))
        assert "\n" not in str(error.value) and "bad" in str(error.value)

    turned = [0, 1, 0, 0, 0, -1]
    refused(
        r"1 missing slice between IM0004.dcm and IM0006.dcm: they are 6 mm apart, and others 3 mm",
        lambda bad: (bad / files[5]).unlink(),
    )
    refused("slices of different orientations", lambda bad: _change(bad / files[3], ImageOrientationPatient=turned))
    refused("lie at the same place", lambda bad: shutil.copy(bad / files[3], bad / "again.dcm"))
    refused("holds 2 series: .*localizer", lambda bad: _change(
        bad / files[3], SeriesInstanceUID="1.2.3", SeriesDescription="localizer"))  # fmt: skip
    refused("different PixelSpacing", lambda bad: _change(bad / files[3], PixelSpacing=[2, 2]))
    refused("does not say ImagePositionPatient", lambda bad: _change(bad / files[3], ImagePositionPatient=None))
    refused("IM0003.dcm: cut, damaged", lambda bad: (bad / files[3]).write_bytes((bad / files[3]).read_bytes()[:1500]))
    refused("IM0003.dcm: is not DICOM", lambda bad: (bad / files[3]).write_text("x" * 200))
    # A size claim beyond the file.
    refused("different sizes", lambda bad: _change(bad / files[3], Rows=60000))
    refused(
        "claims 60000 x 60000 pixels", lambda bad: [_change(bad / name, Rows=60000, Columns=60000) for name in files]
    )


def test_colours_and_frames_without_a_place_are_refused(tmp_path):
    for name, words in (("examples_ybr_color.dcm", "30 frames, and does not say"), ("SC_rgb_rle.dcm", "holds colours")):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(get_testdata_file(name, download=False), folder)
        with pytest.raises(ImageError, match=words):
            look(folder)


# ---- enhanced DICOM: many frames in a file


def test_frames_of_a_file_are_ordered_by_their_places_and_mean_what_a_series_means(tmp_path):
    """Frames lie in any order in the file, and each has a slope of its own."""
    series = look(write_series(tmp_path / "ct", CT, "CT", intercept=-1024))
    enhanced = look(write_enhanced(tmp_path / "in/scan.dcm", CT, modality="CT", intercept=-1024).parent)
    assert enhanced.grid == series.grid and enhanced.unit == "HU" and enhanced.patient == "p01"
    assert (read(enhanced) == CT).all() and list(enhanced.frames) != sorted(enhanced.frames)
    uneven = look(write_enhanced(tmp_path / "uneven.dcm", MR, slopes=(0.5, 2.0, 1.0)))
    assert np.dtype(uneven.dtype).kind == "f" and np.abs(read(uneven) - MR).max() <= 1  # half a step of slope 2
    assert np.abs(read(uneven) - MR).max() > 0 and uneven.name == "uneven"


def test_a_file_of_frames_becomes_a_series_of_slices_or_nifti(tmp_path):
    source = look(write_enhanced(tmp_path / "scan.dcm", MR))
    dicom_writing.write(tmp_path / "ct", CT, source, "HU")
    made = look(tmp_path / "ct")
    assert made.grid == source.grid and (read(made) == CT).all() and len(set(made.files)) == len(CT)
    before, after = pydicom.dcmread(source.path), pydicom.dcmread(made.files[0])
    assert after.SOPClassUID.name == "CT Image Storage" and "EchoTime" not in after and "NumberOfFrames" not in after
    assert "PerFrameFunctionalGroupsSequence" not in after and "SharedFunctionalGroupsSequence" not in after
    (reference,) = after.SourceImageSequence
    assert reference.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert reference.ReferencedFrameNumber == source.frames[0] + 1
    assert after.PatientName == before.PatientName and after[0x00091001].value == "private of p01"
    dicom_writing.write(tmp_path / "mr", MR, source, "")
    assert pydicom.dcmread(tmp_path / "mr/0001.dcm").SOPClassUID.name == "MR Image Storage"
    dropped = dicom_writing.write(tmp_path / "nobody", CT, source, "HU", anonymise=True)
    assert {"InstitutionName", "private elements"} <= set(dropped)
    assert look(tmp_path / "nobody").grid == source.grid and (read(look(tmp_path / "nobody")) == CT).all()
    assert b"p01" not in (tmp_path / "nobody/0001.dcm").read_bytes()[:1500]
    nifti.write(tmp_path / "a.nii.gz", MR, source)
    again = look(tmp_path / "a.nii.gz")
    assert (read(again) == MR).all() and again.grid.apart(source.grid) < 1e-4


def test_a_file_of_frames_that_are_no_one_volume_is_refused_by_frame(tmp_path):
    path = write_enhanced(tmp_path / "scan.dcm", MR)

    def refused(match, spoil):
        data = pydicom.dcmread(path)
        spoil(data, data.PerFrameFunctionalGroupsSequence)
        data.save_as(tmp_path / "bad.dcm")
        with pytest.raises(ImageError, match=match) as error:
            read(look(tmp_path / "bad.dcm"))
        assert "\n" not in str(error.value)

    def turn(data, groups):
        turned = pydicom.Dataset()
        turned.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        groups[4].PlaneOrientationSequence = [turned]

    def repeat(data, groups):
        groups[5].PlanePositionSequence = groups[4].PlanePositionSequence

    refused("slices of different orientations, bad.dcm frame 1 and bad.dcm frame 5: split the file, so that", turn)
    refused(r"bad.dcm frame [56] and bad.dcm frame [56] lie at the same place: split the file", repeat)
    refused("bad.dcm: frame 3: does not say ImagePositionPatient", lambda data, groups: groups[2].clear())
    refused("claims 12 frames, and says where 11 lie", lambda data, groups: groups.pop())
    refused("missing slice between bad.dcm frame", lambda data, groups: (
        groups.pop(list(look(path).frames)[6]), setattr(data, "NumberOfFrames", 11)))  # fmt: skip
    refused("bad.dcm: cut, damaged", lambda data, groups: setattr(data, "PixelData", data.PixelData[:9000]))


@pytest.mark.parametrize("name", ["CT_small.dcm", "693_J2KI.dcm", "MR_small.dcm", "MR_small_RLE.dcm"])
def test_a_series_of_pydicoms_own_files_reads_converts_and_reads_again(tmp_path, name):
    """Three slices, the file shifted along its normal."""
    there = pydicom.dcmread(get_testdata_file(name, download=False))
    normal = np.cross(*np.array(there.ImageOrientationPatient, float).reshape(2, 3))
    place, series, hu = np.array(there.ImagePositionPatient, float), tmp_path / "in", there.Modality == "CT"
    series.mkdir()
    for number, step in enumerate((2, 0, 1)):
        there.ImagePositionPatient = [f"{value:.8f}"[:16] for value in place + 5 * step * normal]
        there.SOPInstanceUID = there.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(prefix=None)
        there.save_as(series / f"{number}.dcm")
    file = look(series)
    values = read(file)
    expected = pydicom.pixels.apply_rescale(there.pixel_array, there)
    assert all((np.asarray(one) == expected).all() for one in file.turned.back(values)) and file.unit == ("HU" * hu)
    dicom_writing.write(tmp_path / "out", values, file, file.unit)
    again = look(tmp_path / "out")
    assert (read(again) == values).all() and again.grid == file.grid


def test_anonymised_files_hold_only_what_is_listed():
    """Of every test file of pydicom that can be read: people, dates, private parts and texts are gone."""
    seen = private = 0
    for path in sorted(Path(pydicom.data.__file__).parent.joinpath("test_files").glob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                data = pydicom.dcmread(path)
                elements = list(data.iterall())
            except Exception:  # broken on purpose
                continue
            made, dropped = anonymised(data, "1.2.3", "1.2.4")
        left = list(made.iterall())
        assert not [one for one in left if one.tag.is_private or one.VR == "SQ" or one.tag.group >> 8 == 0x60]
        assert not [one for one in left if one.VR in ("PN", "DA", "TM", "DT", "LT", "UT") and one.value]
        said = {one.keyword for one in left if one.value not in (None, "")} - KEPT
        assert said <= {"StudyInstanceUID", "FrameOfReferenceUID", "PatientIdentityRemoved", "DeidentificationMethod"}
        assert (made.StudyInstanceUID, made.FrameOfReferenceUID) == ("1.2.3", "1.2.4")
        if str(data.get("PatientName", "")):
            assert "PatientName" in dropped
        seen, private = seen + 1, private + any(one.tag.is_private for one in elements)
    assert seen > 50 and private > 5


def test_an_anonymised_nifti_file_has_no_text_and_no_extension(tmp_path):
    image = nibabel.load(write_nifti(tmp_path / "a.nii", CT, descrip=b"Doe", db_name=b"Doe", aux_file=b"doe"))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Jane Doe, born 1950"))
    nibabel.save(image, tmp_path / "b.nii")
    file = look(tmp_path / "b.nii")
    nifti.write(tmp_path / "kept.nii", CT, file)
    nifti.write(tmp_path / "gone.nii", CT, file, anonymise=True)
    assert b"Doe" in (tmp_path / "kept.nii").read_bytes()
    assert b"oe" not in (tmp_path / "gone.nii").read_bytes()[:600] and (read(look(tmp_path / "gone.nii")) == CT).all()


def test_types_hold_what_integers_mean():
    assert type_of_values(0, 4095, 1, -1024) == np.int16
    assert type_of_values(0, 65535, 1, -1024) == np.int32
    assert type_of_values(0, 255, 1, 0) == np.uint8
    assert type_of_values(0, 4095, 0.5, 0) == np.float32
    assert type_of_values(-32768, 32767, 1e6, 0) == np.float64
