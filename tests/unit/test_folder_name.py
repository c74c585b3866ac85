"""Names of outputs: a folder is never made of what is named as a file."""

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import write_images

from translate.inference.converter import Converter
from translate.networks.foreign import port_state
from translate.networks.resnet import ResnetGenerator
from translate.runs.loading import load
from translate.training.runtime import Runtime
from translate.utils.user_paths import named_as_file


@pytest.fixture
def generator(tmp_path):
    torch.manual_seed(0)
    torch.save(port_state(ResnetGenerator(3, 3, filters=4, blocks=1)), tmp_path / "g.pth")
    write_images(tmp_path / "photos", ["a.png"])
    return tmp_path / "g.pth"


@pytest.mark.parametrize(
    ("name", "is_file"),
    [
        ("out7.xyz", True),
        ("out.png", True),
        ("out.mp4", True),
        ("out.tiff", True),
        ("run.pth", True),
        ("x.safetensors", True),
        ("out", False),
        ("out7.xyz/", False),
        ("out.v2", False),
        ("out-1.5", False),
        ("../out", False),
        (".hidden", False),
    ],
)
def test_a_suffix_makes_a_file_unless_a_slash_or_a_version_says_otherwise(name, is_file):
    assert named_as_file(name) is is_file


@pytest.mark.parametrize("source", ["photos", "photos/a.png"])
@pytest.mark.parametrize("output", ["out7.xyz", "out.pth", "out.svg"])
def test_convert_makes_no_folder_of_a_files_name(run_cli, generator, tmp_path, source, output):
    refused = run_cli("convert", generator, source, output)
    assert refused.exit_code == 2 and f"for a folder of that name, write {output}/" in refused.stderr
    assert not (tmp_path / output).exists()
    assert run_cli("convert", generator, source, f"{output}/").exit_code == 0
    assert (tmp_path / output / "a.png").is_file()
    # It exists now, and is meant.
    assert run_cli("convert", generator, source, output, "--overwrite").exit_code == 0


def test_a_folder_goes_into_no_image(run_cli, generator, tmp_path):
    refused = run_cli("convert", generator, "photos", "out.png")
    assert refused.exit_code == 2 and "write out.png/" in refused.stderr and not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["convert", "g.pth", "photos", "out", "--gallery", "x.xyz"], "--gallery x.xyz: the gallery is a page"),
        (["convert", "g.pth", "photos", "out", "--compare", "x.png"], "--compare x.png: named as a file"),
        (["convert", "g.pth", "photos", "out", "--compare", "g.pth"], "--compare g.pth: cannot be written into"),
        (["train", "cyclegan", "--data", "photos", "--out", "x.pth"], "--out x.pth: named as a file"),
        (["quickstart", "--out", "x.yaml"], "--out x.yaml: named as a file"),
        (["sample", "run", "x.png"], "OUTPUT x.png: named as a file"),
        (["data", "fetch", "apple2orange", "--into", "x.zip"], "--into x.zip: named as a file"),
        (["export", "g.pth", "x.xyz", "--format", "hub"], "--format hub x.xyz: named as a file"),
        (["export", "g.pth", "x.xyz", "--format", "port"], "--format port x.xyz: named as a file"),
        (["export", "g.pth", "x.xyz"], "x.xyz: give --format, or use a suffix"),
        (["export", "g.pth", "g.pth/x.onnx"], "cannot be written into"),
    ],
)
def test_every_name_of_an_output_is_checked_before_anything_is_read(run_cli, generator, tmp_path, words, told):
    before = sorted(tmp_path.iterdir())
    refused = run_cli(*words)
    assert refused.exit_code == 2 and told in refused.stderr, refused.output
    assert sorted(tmp_path.iterdir()) == before


def test_samples_that_could_not_be_written_are_not_drawn(tmp_path):
    import tiny

    from translate.errors import ConfigurationError
    from translate.inference.sampling import sample_folder

    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="cannot be written into"):
        sample_folder(tiny.tiny_model("gan"), tmp_path / "file" / "out", 4)


def test_the_banner_says_the_precision_of_each_kind_of_file(run_cli, generator, tmp_path):
    bf16 = Runtime(torch.device("cpu"), bf16=True)
    model = load(generator, device="cpu", precision="float32")
    assert "float32" in model.runs_on and "8 bits" not in model.runs_on
    mixed = Converter(model.model, model.images, bf16, deep=Runtime(torch.device("cpu")))
    assert "bf16" in mixed.runs_on and "(files of more than 8 bits: float32)" in mixed.runs_on
    Image.fromarray(np.full((16, 16), 40_000, np.uint16)).save(tmp_path / "photos" / "b.png")
    told = run_cli("convert", generator, "photos", "out", "--precision", "bf16").stderr
    assert "bf16" in told and "more than 8 bits" not in told  # asked for, so for all
