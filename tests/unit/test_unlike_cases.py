"""What users meet with domains that are unlike, from settings that go wrong to outputs that are looked at again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from translate.data.checks.files import Files
from translate.data.checks.looking import introduced, kinds_of
from translate.data.domain import Domain
from translate.data.io import images
from translate.data.io.values import UNIT
from translate.data.settings import DataSettings
from translate.data.source_file import Source
from translate.errors import ConfigurationError
from translate.evaluation.colour_map import fit_affine_colour
from translate.evaluation.validation import Direction
from translate.inference.converter import Converter
from translate.inference.delivery import delivered, span_in
from translate.inference.extras import ExtrasWriter, Looks
from translate.inference.folder import convert_folder
from translate.inference.formats import port
from translate.inference.jobs import plan
from translate.inference.options import Depth, Extras, ImageFormat, InputOptions, ModelOptions, OutputOptions
from translate.inference.provenance import begin_translation, translation
from translate.models.base import ImageSpec, ImageTranslator, Request
from translate.networks.resnet import ResnetSettings
from translate.recipe import load_recipe
from translate.runs import convert, prepared
from translate.runs.image_sets.opening import open_data
from translate.runs.resuming import require_same_run
from translate.training.checkpoint import Checkpoint
from translate.training.runtime import Runtime

MR, CT = Domain("mr", 1, (0, 1000), "uint16"), Domain("ct", 1, (-1000, 900), "int16", "HU")
GREY, RGB = Domain("grey", 1, UNIT, "uint8"), Domain("rgb", 3, UNIT, "uint8")


class Repeated(ImageTranslator):
    """Repeats the mean of all channels; the same on the way back."""

    def __init__(self, spec: ImageSpec) -> None:
        super().__init__()
        self.spec = spec

    def translate(self, given: torch.Tensor, request: Request) -> torch.Tensor:
        return given.mean(1, keepdim=True).expand(-1, self.spec.translated(request).channels, -1, -1)

    def targets(self) -> list[int]:
        return [0, 1]

    def way_back(self, request: Request):
        return lambda images: Request.to(0)

    @property
    def stride(self) -> int:
        return 4


def converter(given: Domain, target: Domain) -> Converter:
    spec = ImageSpec(max(given.channels, target.channels), 16, (given.name, target.name), each=(given, target))
    return Converter(Repeated(spec), spec, Runtime(torch.device("cpu"), fused=False))


@pytest.mark.parametrize("depth", ["target", "same", "8", "16", "float"])
@pytest.mark.parametrize("format", ["same", "png", "jpeg"])
@pytest.mark.parametrize(("given", "target"), [(MR, CT), (CT, MR), (GREY, RGB), (MR, RGB)])
def test_what_was_delivered_is_read_again_for_sheets_and_cycle_errors(
    tmp_path: Path, given: Domain, target: Domain, format: ImageFormat, depth: Depth
) -> None:
    (tmp_path / "in").mkdir()
    low, high = given.ends
    ramp = np.linspace(low, high, 64).round().reshape(8, 8).astype(given.dtype)
    tifffile.imwrite(tmp_path / "in" / "x.tif", ramp, metadata=None)
    model, request = converter(given, target), Request.to(1)
    model.depth = depth
    jobs = plan(tmp_path / "in", tmp_path / "out", format)
    assert not convert_folder(model, jobs, request).failed
    (job,) = jobs
    read = images.read(job.output, span=span_in(job.output, given, target, depth))
    shades = images.to_8_bits(read.pixels) if read.pixels.dtype == np.uint16 else read.pixels
    wanted = np.linspace(0, 255, 64).reshape(8, 8, 1)
    assert np.abs(shades.astype(float) - wanted).max() < (6 if format == "jpeg" else 1.1), "black to white, as it was"


def test_sheets_and_cycle_errors_of_another_depth_are_written(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "x.tif", np.arange(64, dtype=np.uint16).reshape(8, 8) * 15, metadata=None)
    model, request, found = converter(MR, CT), Request.to(1), []
    model.depth = "16"
    jobs = plan(tmp_path / "in", tmp_path / "out")
    convert_folder(model, jobs, request, done=found.append)
    extras = Extras(compare=tmp_path / "sheets", cycle_error=True)
    writer, looks = ExtrasWriter(extras, model, request, False), Looks(extras)
    for record in found:
        writer.add(record)
    looks.add(writer.rows(tmp_path / "in"), {})
    assert writer.close() + looks.write("sheets", 0) == []
    assert (tmp_path / "sheets" / "sheet-00001.png").is_file()
    assert np.asarray(Image.open(tmp_path / "out" / "x.tif.cycle-error.png")).max() <= 1, "the way back is the input"


def test_a_folder_of_one_depth_takes_no_other(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"x")
    model, request = converter(MR, CT), Request.to(1)
    model.origin = tmp_path / "model.onnx"
    begin_translation(tmp_path, translation(model, request), False)
    (tmp_path / "x.png").touch()
    begin_translation(tmp_path, translation(model, request), False)
    model.depth = "float"
    with pytest.raises(ConfigurationError, match="with --depth float"):
        begin_translation(tmp_path, translation(model, request), False)


def test_the_untouched_input_is_no_baseline_where_values_are_unlike() -> None:
    given, truths = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)
    one = Direction("to ct", 1, given, truths, fit_affine_colour(given, truths), target=CT, given=MR)
    assert set(one.baselines()) == {"best colour map"}
    assert set(replace(one, given=replace(CT, name="other")).baselines()) == {"untouched input", "best colour map"}
    assert set(replace(one, given=None).baselines()) == {"untouched input", "best colour map"}, "of an old run"
    assert GREY.like(Domain("x", 1, UNIT, "uint16")) and not GREY.like(RGB)


def test_colours_of_a_png_are_said_of_alike_images_only() -> None:
    picture = images.Picture(np.zeros((2, 2, 1), np.uint8), colour=b"gAMA")
    assert delivered(picture, np.zeros((2, 2, 1), np.uint8), GREY).colour == b"gAMA"
    assert delivered(picture, np.zeros((2, 2, 3), np.uint8), RGB).colour is None


DOMAINS = "expected a list, each text, or a section of NAME: a section, or null, e.g. 'data.domains=[photo, map]'"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("data.domains=3", f"'data.domains': {DOMAINS}, got 3"),
        ("data.domains.B=5", f"'data.domains': {DOMAINS}, got {{\"B\": 5}}"),
        (
            "data.domains.B.unit=5",
            "'data.domains.B.unit': expected text of at most 20 letters, e.g. data.domains.B.unit=HU, got 5; "
            "in quotes it is text: '\"5\"'",
        ),
        ("data.domains.B.units=HU", "unknown key 'data.domains.B.units'; did you mean 'data.domains.B.unit'?"),
        (
            "data.domains.B.span=3",
            "'data.domains.B.span': expected a list of 2, each a number, or null, "
            "e.g. 'data.domains.B.span=[-1000, 1000]', got 3",
        ),
        ("data.domains=[a, 2]", f"'data.domains': {DOMAINS}, got [\"a\", 2]; in quotes it is text: '\"2\"'"),
    ],
)
def test_a_mistake_in_domains_is_one_line_that_names_the_setting(given: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_recipe("pix2pix", [given])
    assert str(refused.value) == f"--set {given}: {said}"


def test_domains_named_in_a_list_take_settings(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("base: pix2pix\ndata: {domains: [mr, ct]}\n")
    domains = load_recipe(tmp_path / "mine.yaml", ["data.domains.ct.unit=HU"]).data.domain_settings
    assert list(domains) == ["mr", "ct"] and domains["ct"].unit == "HU"
    from translate.cli.common import Changes

    given = Changes(domains="mr, ct").settings(["data.domains.ct.unit=HU"], "the folder")
    assert load_recipe("pix2pix", given).data.domain_settings == domains


@pytest.mark.parametrize(
    "words",
    [
        ["data.domains=[mr, ct]", "data.domains.ct.unit=HU"],
        ["data.domains.ct.unit=HU", "data.domains={mr: {}, ct: {}}", "data.domains.ct.unit=HU"],
        ["data.domains.ct.kind=labels", "data.domains=[mr, ct]"],
    ],
)
@pytest.mark.parametrize("names", [("ct", "mr"), ("mr", "ct")])
def test_the_order_in_which_domains_are_named_holds_beside_what_they_are(
    tmp_path: Path, words: list[str], names: tuple[str, str]
) -> None:
    """The folders lie in alphabetical order, and whoever names both says which is the source."""
    for name in names:
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.new("L", (16, 16), number).save(tmp_path / name / f"{number}.png")
    first, second = names
    words = [word.replace("mr,", f"{first},").replace(", ct]", f", {second}]") for word in words]
    words = [word.replace("mr: {}, ct: {}", f"{first}: {{}}, {second}: {{}}") for word in words]
    recipe = load_recipe("pix2pix", [*words, f"data.set={tmp_path}"])
    assert open_data(recipe.data, recipe.method.batch_type, lambda line: None).domains == names
    said = recipe.data.domain_settings["ct"]
    assert said.unit == "HU" or said.kind == "labels", "nor is the other setting lost"
    (tmp_path / "again.yaml").write_text(recipe.to_yaml())
    assert load_recipe(tmp_path / "again.yaml").data == recipe.data


def test_sections_in_a_recipe_say_no_order_and_a_later_list_says_its_own(tmp_path: Path) -> None:
    """Recipes of before hold both names in any order, and their runs took the folders'."""
    (tmp_path / "old.yaml").write_text("base: pix2pix\ndata: {domains: {mr: {}, ct: {unit: HU}}}\n")
    assert load_recipe(tmp_path / "old.yaml").data.domain_names is None
    (tmp_path / "new.yaml").write_text("base: pix2pix\ndata: {domains: {mr: {}, ct: {}}, order: [mr, ct]}\n")
    assert load_recipe(tmp_path / "new.yaml").data.domain_names == ("mr", "ct")
    assert load_recipe(tmp_path / "new.yaml", ["data.domains=[ct, mr]"]).data.domain_names == ("ct", "mr")
    with pytest.raises(ConfigurationError, match="leave order out"):
        load_recipe("pix2pix", ["data.domains=[ct, mr]", "data.order=[mr, ct]"])


def folder_of(root: Path, dtype: type) -> Path:
    for place in ("trainA", "trainB", "testA", "testB"):
        (root / place).mkdir(parents=True)
        for number in range(2):
            pixels = np.full((16, 16), 9 + number, dtype)
            Image.fromarray(pixels).save(root / place / f"{number}.png")
    return root


@pytest.mark.parametrize(
    ("domains", "refused"),
    [
        ({"B": {}, "A": {"unit": "K"}}, ""),
        ({"x": {}, "y": {}}, ""),
        ({"B": {}, "y": {}}, "no domain 'y'; known: A, B"),
        ({"x": {}}, "data.domains.x: there are the domains A and B; name one, or both anew"),
        ({"A": {}, "B": {}, "C": {}}, "data.domains: this method takes two domains, not A, B, C"),
    ],
)
def test_domains_are_named_by_what_they_are_or_both_anew(tmp_path: Path, domains: dict, refused: str) -> None:
    data = DataSettings(set=str(folder_of(tmp_path, np.uint8)), domains=domains)
    batch = load_recipe("pix2pix").method.batch_type
    if refused:
        with pytest.raises(ConfigurationError) as error:
            open_data(data, batch, lambda line: None)
        assert str(error.value).endswith(refused)
    else:
        opened = open_data(data, batch, lambda line: None)
        assert set(opened.domains) == set(domains), "no domain gets the name of the other"


def test_a_span_of_8_bit_files_would_have_no_effect_and_is_refused(tmp_path: Path) -> None:
    for kind, name in ((np.uint8, "bytes"), (np.uint16, "deep")):
        folder_of(tmp_path / name, kind)
    data = DataSettings(domains={"A": {"span": (0.0, 100.0)}})
    with pytest.raises(ConfigurationError, match=r"data\.domains\.A\.span: no effect on files of 8 bits"):
        kinds_of({"A": [Source(tmp_path / "bytes" / "trainA" / "0.png")]}, data, Files())
    (kind,) = kinds_of({"A": [Source(tmp_path / "deep" / "trainA" / "0.png")]}, data, Files())
    assert kind.span == (0, 100)
    assert introduced([GREY]) == ["grey: 8-bit grey (data.channels says otherwise)"]


def test_shades_that_are_taken_for_values_are_said(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "in" / "x.png")
    tifffile.imwrite(tmp_path / "in" / "y.tif", np.arange(64, dtype=np.uint16).reshape(8, 8), metadata=None)
    outcome = convert_folder(converter(MR, CT), plan(tmp_path / "in", tmp_path / "out", "tiff"), Request.to(1))
    (note,) = [record.note for record in outcome.noted]
    assert note.endswith("x.png: its 8-bit shades were taken for 0 (black) to 1000 (white)")


@pytest.mark.parametrize(("output", "name"), [("out", "out/x.tif"), ("x.png", "x.png")])
def test_a_single_file_is_written_as_tiff_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8)).save("in/x.png")
    monkeypatch.setattr(prepared, "load", lambda run, **options: converter(MR, CT))
    asked = convert.Conversion(
        Path("run"), Path("in/x.png"), output, ("ct",), ModelOptions(), InputOptions(), OutputOptions(), Extras(), True
    )
    assert not asked.carry_out().failed and Path(name).is_file()


@pytest.mark.parametrize(
    ("channels", "said"), [((1, 3), " 1 --output_nc 3"), ((3, 1), " 3 --output_nc 1"), ((3, 3), "")]
)
def test_the_ports_options_name_the_channels_of_both_domains(channels: tuple[int, int], said: str) -> None:
    network = ResnetSettings(filters=4, blocks=6).between(*channels, 32)
    assert port.options(network).partition(" --input_nc")[2] == said  # type: ignore[arg-type]


def test_a_run_that_was_told_of_its_domains_goes_on_with_and_without(tmp_path: Path) -> None:
    begun = load_recipe("pix2pix", ["data.domains.B.unit=HU"])
    facts = {"processes": 1, "recipe": begun.to_json(), "images": {}}
    checkpoint = Checkpoint(tmp_path / "run" / "checkpoints" / "step-1", facts)
    require_same_run(checkpoint, begun)
    require_same_run(checkpoint, load_recipe("pix2pix"))
    for changed in (["data.domains.B.unit=K"], ["data.domains.A.unit=K"], ["data.size=64", "data.load_size=64"]):
        with pytest.raises(ConfigurationError, match="cannot change the settings") as refused:
            require_same_run(checkpoint, load_recipe("pix2pix", changed), fits=lambda: True)
        assert "training.init_from=" in str(refused.value)
