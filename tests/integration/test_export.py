"""Graphs for other programs compute what the run computes, for any batch and size, or do not appear."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from torch import nn

import translate
from translate.data.domain import Domain
from translate.data.io.values import UNIT
from translate.data.labels import LabelGroup
from translate.errors import TranslateError
from translate.inference.foreign import ForeignGenerator
from translate.inference.formats import FORMATS, Format
from translate.inference.formats.exported import Description, open_with_onnxruntime, open_with_openvino
from translate.inference.formats.graphs import TranslationGraph, largest_difference, random_images, trace
from translate.inference.formats.onnx import read as read_onnx
from translate.inference.formats.onnx import write as write_onnx
from translate.inference.formats.torch_export import read as read_torch
from translate.inference.formats.torch_export import write as write_torch
from translate.models import MODELS
from translate.models.base import ImageSpec, Request, Translator
from translate.networks.conv_as_matmul import set_conv_as_matmul
from translate.networks.foreign import from_port
from translate.networks.foreign_file import read_state
from translate.runs.export import export

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
TRANSLATORS = [name for name, kind in MODELS.items() if issubclass(kind, Translator)]
DESCRIPTION = Description("tiny", ("a", "b"), "b", 3, 4, "floats", "0")
ATTRIBUTES = ImageSpec(3, 16, ("old", "fair", "dark"), (LabelGroup(3, exclusive=False),), ((1, 2),))


def _lively(model, seed=0):
    """With weights that make every layer count."""
    torch.manual_seed(seed)
    for weight in model.parameters():
        nn.init.normal_(weight, 0, 0.3)
    return model


def _onnx():
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra [export]")


def _largest_difference(model, request, path):
    """Of a file from the model itself, on three sizes and batches."""
    graph = TranslationGraph(model, request, 3)
    program, images = trace(graph), random_images(graph)
    assert len({tuple(image.shape) for image in images}) == 3 and {len(image) for image in images} == {1, 2, 3}
    write, read = (write_onnx, read_onnx) if path.suffix == ".onnx" else (write_torch, read_torch)
    write(program, path, DESCRIPTION)
    assert str(Path(translate.__file__).parent).encode() not in path.read_bytes(), "it names files of this machine"
    return largest_difference(read(path), graph, model, images)


def _exportable(name):
    """A tiny model that draws no random numbers, which a graph could not."""
    path = {"path": {"kind": "flow"}} if name == "bridge" else {}
    return _lively(tiny.tiny_model(name, settings=tiny.TINY[name] | path))


# Of the rest, ONNX files, which are made of the same graphs, are compared below.
FIRST = ("cyclegan", "oasis", "bridge")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FIRST else pytest.mark.slow) for name in TRANSLATORS]
)
def test_a_graph_gives_what_the_model_gives(name, tmp_path):
    model = _exportable(name)
    assert _largest_difference(model, Request.to(model.targets()[-1]), tmp_path / "x.pt2") < 1e-5


@pytest.mark.parametrize("name", TRANSLATORS)
def test_an_onnx_file_gives_what_the_model_gives(name, tmp_path):
    _onnx()
    model = _exportable(name)
    assert _largest_difference(model, Request.to(model.targets()[-1]), tmp_path / "x.onnx") < 1e-4


def test_attributes_that_are_not_named_are_read_off_the_image_in_the_graph(tmp_path):
    _onnx()
    torch.manual_seed(0)
    kind = MODELS["stargan"]
    config = kind.Config.model_validate_json(json.dumps(tiny.TINY["stargan"]))
    model = _lively(kind(config, ATTRIBUTES))
    assert _largest_difference(model, Request(frozenset({0}), frozenset({2})), tmp_path / "x.onnx") < 1e-4


def test_an_image_that_is_one_pixel_inside_a_u_net_and_dropout_that_is_on(tmp_path):
    settings = tiny.TINY["pix2pix"] | {"generator": {"kind": "unet", "filters": 2, "levels": 6}}
    config = MODELS["pix2pix"].Config.model_validate_json(json.dumps(settings))
    model = _lively(MODELS["pix2pix"](config, ImageSpec(3, 64, ("a", "b"))))
    dropouts = [module for module in model.modules() if isinstance(module, nn.Dropout)]
    assert dropouts, "the case that is meant"
    graph = TranslationGraph(model, Request.to(1), 3)
    run, images = trace(graph).module(), [graph.noise(1, 1, 1), graph.noise(2, 1, 2)]
    assert images[0].shape[2:] == (64, 64)

    def difference():
        return largest_difference(lambda x: run(torch.from_numpy(x)).detach().numpy(), graph, model, images)

    assert difference() > 1e-3, "the model throws dice"
    for dropout in dropouts:
        dropout.p = 0.0
    assert difference() < 1e-5


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("resnet_6blocks_batch", "output_eval"),  # of the batch's statistics, an image alone has others
        ("unet_128_instance", "output_batch_statistics"),
        ("stargan_generator_5domains", "output_batch_statistics"),
    ],
)
def test_published_generators_export_as_published(name, output):
    if not GOLDEN.is_dir():
        pytest.skip("golden files are not here (../shared/golden)")
    golden = {key: torch.from_numpy(array) for key, array in np.load(GOLDEN / f"{name}.npz").items()}
    network = from_port(read_state(GOLDEN / f"{name}.pth"), dropout=0.0)
    generator = ForeignGenerator(network, evaluated=output == "output_eval")
    labels = golden.get("labels", torch.zeros(len(golden["input"]), 0))
    for image, wanted_labels, wanted in zip(golden["input"], labels, golden[output], strict=True):
        request = Request(frozenset(wanted_labels.nonzero().flatten().tolist()))
        run = trace(TranslationGraph(generator, request, len(image))).module()
        assert (run(image[None])[0] - wanted).abs().max() < 1e-5


def test_what_converting_does_not_use_is_not_in_the_graph():
    program = trace(TranslationGraph(tiny.tiny_model("cyclegan"), Request.to(0), 3))
    assert {key.split(".")[1] for key in program.state_dict} == {"generator_a"}


def test_a_graph_has_convolutions_where_a_cpu_takes_products():
    model = tiny.tiny_model("pix2pix")
    set_conv_as_matmul(model, True)
    program = trace(TranslationGraph(model, Request.to(1), 3))
    assert not {"im2col", "col2im"} & {name for node in program.graph.nodes for name in str(node.target).split(".")}


def test_rounding_to_bytes_is_no_difference_and_a_level_is():
    model = _lively(tiny.tiny_model("direct"))
    graph = TranslationGraph(model, Request.to(1), 3, as_bytes=True)
    images = [graph.noise(1, 1, 1)]

    def run(levels):
        return lambda pixels: (graph(torch.from_numpy(pixels)).float() + levels).clamp(0, 255).byte().numpy()

    with torch.no_grad():
        assert largest_difference(run(0), graph, model, images) < 1e-6
        assert largest_difference(run(1), graph, model, images) > 0.9 / 255


def test_nothing_is_hidden_by_what_is_no_number():
    model = _lively(tiny.tiny_model("direct"))
    graph = TranslationGraph(model, Request.to(1), 3)
    images = random_images(graph)
    wrong = [lambda x: np.full_like(x, np.nan)] + [lambda x: graph(torch.from_numpy(x)).detach().numpy()] * 2
    runs = iter(wrong)
    assert np.isnan(largest_difference(lambda x: next(runs)(x), graph, model, images))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Tiny runs of cyclegan, which knows two targets, and of pix2pix."""
    from tiny import TINY_DATA, TINY_TRAINING

    root = tmp_path_factory.mktemp("runs")
    tiny.unpaired_folder(root / "unpaired")
    tiny.paired_folder(root / "paired")
    for model, data in (("cyclegan", "unpaired"), ("pix2pix", "paired")):
        recipe = {"name": f"tiny-{model}", "model": tiny.TINY[model], "data": TINY_DATA, "training": TINY_TRAINING}
        recipe = translate.recipe.parse_recipe(json.loads(json.dumps(recipe)), model)
        translate.train(recipe, root / data, out=root / model, tracking="disabled", device="cpu", quiet=True)
    return root


@pytest.fixture(scope="module")
def zebra(runs):
    """An ONNX file of the first, to B."""
    _onnx()
    exported = export(runs / "cyclegan", runs / "b.onnx", to="B")
    assert exported.differences.keys() == {"random images", "images of the run's data set"}
    return runs / "b.onnx"


def _pixels(folder):
    return [np.asarray(Image.open(path)).astype(int) for path in sorted(folder.glob("*.png"))]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_exported_file_converts_a_folder_like_its_run(backend, zebra, runs, run_cli, tmp_path):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    photos = tmp_path / "photos"
    tiny.write_images(photos, ["a.png", "b.png"], size=21)
    tiny.write_images(photos, ["c.png"], size=50)
    options = ["--precision", "float32", "-q"]
    assert run_cli("convert", runs / "cyclegan", photos, "run", "--to", "B", *options).exit_code == 0
    result = run_cli("convert", zebra, photos, "file", "--backend", backend, "--batch", "2", *options)
    assert result.exit_code == 0, result.output
    pairs = list(zip(_pixels(tmp_path / "run"), _pixels(tmp_path / "file"), strict=True))
    assert len(pairs) == 3 and all(abs(ours - theirs).max() <= 1 for ours, theirs in pairs)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_file_says_what_it_is(backend, zebra):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    metadata = open_with_onnxruntime(zebra)[1] if backend == "onnxruntime" else open_with_openvino(zebra, False)[1]
    told = Description.from_metadata(metadata)
    each = Domain("A", 3, UNIT, "uint8"), Domain("B", 3, UNIT, "uint8")
    assert told == Description("tiny-cyclegan", ("A", "B"), "B", 3, 4, "floats", translate.__version__, each=each)
    converter = translate.load(zebra, backend=backend)
    assert converter.targets == ["B"]
    with pytest.raises(translate.ConfigurationError, match="--to A: this model converts to B"):
        converter.request("A")


def test_a_file_of_bytes_takes_8_bits_and_refuses_16(runs, run_cli, tmp_path):
    _onnx()
    result = run_cli("export", runs / "pix2pix", "bytes.onnx", "--bytes")
    assert result.exit_code == 0 and "largest difference from PyTorch on random images" in result.output
    converter = translate.load("bytes.onnx")
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    run = translate.load(runs / "pix2pix", device="cpu", precision="float32")
    assert abs(converter.convert(image).astype(int) - run.convert(image)).max() <= 1
    with pytest.raises(TranslateError, match="8-bit images only"):
        converter.convert(rng.integers(0, 65536, (24, 24, 3), dtype=np.uint16))
    tiny.write_images(tmp_path / "in", ["a.png", "c.png"], size=24)
    Image.fromarray(rng.integers(0, 65536, (24, 24), dtype=np.uint16)).save(tmp_path / "in" / "b.png")
    result = run_cli("convert", "bytes.onnx", "in", "out", "--batch", "3", "-q")
    assert result.exit_code == 3 and "2 converted, 0 skipped, 1 failed" in result.output
    assert "b.png: the model was exported with --bytes and takes 8-bit images only" in result.output


def test_the_format_follows_from_the_suffix_and_a_torch_file_reads_back(runs, run_cli, tmp_path):
    result = run_cli("export", runs / "pix2pix", "model.pt2")
    assert result.exit_code == 0 and result.stdout.endswith("model.pt2\n")
    told = {"translate.json": ""}
    module = torch.export.load(tmp_path / "model.pt2", extra_files=told).module()
    assert Description.from_metadata(json.loads(told["translate.json"])).name == "tiny-pix2pix"
    images = torch.rand(1, 3, 32, 16) * 2 - 1
    wanted = translate.load(runs / "pix2pix", device="cpu", precision="float32").convert(images)
    assert (module(images) - wanted).abs().max() < 1e-5
    refused = run_cli("convert", "model.pt2", runs / "unpaired", "out")
    assert refused.exit_code == 2 and "a graph of torch.export is for other programs" in refused.output
    again = run_cli("export", runs / "pix2pix", "model.pt2")
    assert again.exit_code == 2 and "exists" in again.output
    assert run_cli("export", runs / "pix2pix", "model.pt2", "--overwrite").exit_code == 0


def test_a_graph_that_differs_does_not_appear(runs, run_cli, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "translate.inference.formats.torch_export.read", lambda path: lambda x: read_torch(path)(x) + np.float32(1e-3)
    )
    result = run_cli("export", runs / "pix2pix", "out/model.pt2")
    assert result.exit_code == 1 and "differs from PyTorch by 0.001" in result.output
    monkeypatch.setattr("translate.inference.formats.graphs.largest_difference", lambda *_: float("nan"))
    result = run_cli("export", runs / "pix2pix", "out/model.pt2")
    assert result.exit_code == 1 and "differs from PyTorch by nan" in result.output
    assert not (tmp_path / "out").exists()


def test_without_its_data_set_a_run_is_checked_on_random_images(runs, run_cli, tmp_path):
    (runs / "paired").rename(runs / "elsewhere")
    try:
        result = run_cli("export", runs / "pix2pix", "model.pt2")
    finally:
        (runs / "elsewhere").rename(runs / "paired")
    assert result.exit_code == 0 and "checked on random images only" in result.output


def test_what_cannot_be_exported_or_run_is_told(runs, run_cli, tmp_path, monkeypatch):
    (tmp_path / "other.onnx").write_bytes(b"no graph")
    cases = [
        (["export", runs / "cyclegan", "x.onnx"], "--to is needed: this model converts to B or A"),
        (["export", runs / "cyclegan", "x.tflite"], "give --format"),
        (["export", runs / "cyclegan", "folder", "--bytes"], "--bytes is for graphs"),
        (["export", runs / "nothing", "x.onnx"], "no such run"),
        (["convert", runs / "cyclegan", runs / "unpaired", "out", "--backend", "openvino"], "runs ONNX files"),
        (["convert", "other.onnx", runs / "unpaired", "out", "--backend", "torch"], "--backend torch"),
        (["convert", "other.onnx", runs / "unpaired", "out", "--precision", "bf16"], "needs --backend openvino"),
        (["convert", "other.onnx", runs / "unpaired", "out", "--device", "cuda"], "runs on the processor"),
    ]
    for words, told in cases:
        result = run_cli(*words)
        assert result.exit_code == 2 and told in result.output, (words, result.output)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    result = run_cli("convert", "other.onnx", runs / "unpaired", "out")
    assert result.exit_code == 2 and "pip install 'image-translate[export]'" in result.output


def test_another_programs_file_is_refused(runs, run_cli, tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs the extra [export]")
    _onnx()
    (tmp_path / "damaged.onnx").write_bytes(b"no graph")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    same = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "other", [value], [same])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "other.onnx")
    for name, told in (("damaged", "cannot be read as ONNX"), ("other", "not an ONNX file that `translate export`")):
        result = run_cli("convert", f"{name}.onnx", runs / "unpaired", "out")
        assert result.exit_code == 2 and told in result.output and f"{name}.onnx" in result.output


@pytest.mark.parametrize("doubled", ["always", "above 100 pixels"])
def test_a_file_that_changes_sizes_is_refused(run_cli, tmp_path, doubled):
    """By itself where a small image tells, else by the first that it changes."""
    onnx = pytest.importorskip("onnx", reason="needs the extra [export]")
    _onnx()
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    shape = [1, 3, "height", "width"]
    value, larger = (helper.make_tensor_value_info(name, floats, shape) for name in "xy")
    scales = helper.make_tensor("twice", floats, [4], [1, 1, 2, 2])
    once = helper.make_tensor("once", floats, [4], [1, 1, 1, 1])
    nodes = [helper.make_node("Resize", ["x", "", "twice"], ["y"], mode="nearest")]
    constants = [scales]
    if doubled != "always":
        most, of = (
            helper.make_tensor(name, onnx.TensorProto.INT64, [], [number])
            for name, number in (("most", 100), ("of", 3))
        )
        constants += [once, most, of]
        nodes = [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Gather", ["shape", "of"], ["width_"]),
            helper.make_node("Greater", ["width_", "most"], ["large"]),
            helper.make_node("Where", ["large", "twice", "once"], ["scales"]),
            helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest"),
        ]
    graph = helper.make_graph(nodes, "doubles", [value], [larger], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    described = Description("doubles", ("A", "B"), "B", 3, 4, "floats", translate.__version__)
    helper.set_model_props(model, described.to_metadata())
    onnx.save(model, tmp_path / "doubles.onnx")
    tiny.write_images(tmp_path / "photos", ["a.png"], size=120)
    result = run_cli("convert", "doubles.onnx", "photos", "out", "-q")
    pixels = "16 x 32 pixels into 32 x 64" if doubled == "always" else "120 x 120 pixels into 240 x 240"
    assert result.exit_code == 2 and f"doubles.onnx: turns {pixels}" in result.stderr, result.output
    assert not list(tmp_path.glob("out/*.png"))


@pytest.mark.parametrize(
    ("domains", "told"),
    [(["A", "B", "C"], "knows 2 domains, not 3 (A, B, C)"), (["A"], "not 1"), (["A", "A"], "have equal names")],
)
def test_a_model_of_two_domains_with_others_is_refused(runs, run_cli, tmp_path, domains, told):
    assert run_cli("export", runs / "cyclegan", "hub", "--format", "hub").exit_code == 0
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    (tmp_path / "hub" / "config.json").write_text(json.dumps(config | {"domains": domains}))
    result = run_cli("convert", "hub", runs / "unpaired", "out", "--to", "B")
    assert result.exit_code == 2 and told in result.stderr, result.output


def test_a_hub_folder_says_that_it_holds_every_target(runs, run_cli):
    result = run_cli("export", runs / "cyclegan", "hub", "--format", "hub", "--to", "B")
    assert result.exit_code == 0 and "hub holds the whole model, for all of its targets: B, A" in result.stderr
    unknown = run_cli("export", runs / "cyclegan", "hub2", "--format", "hub", "--to", "Q")
    assert unknown.exit_code == 2 and "Q" in unknown.stderr and not Path("hub2").exists()


def test_an_exported_file_does_not_claim_pytorchs_options(runs, run_cli):
    _onnx()
    assert run_cli("export", runs / "cyclegan", "b.onnx", "--to", "B").exit_code == 0
    result = run_cli("convert", "b.onnx", runs / "unpaired", "out")
    assert result.exit_code == 0 and "float32" in result.stderr
    assert not any(option in result.stderr for option in ("Adam", "channels last", "products"))


def test_what_is_refused_is_not_told_of_its_precision(runs, run_cli):
    result = run_cli("convert", runs / "cyclegan", runs / "unpaired", "out", "--precision", "bf16")
    assert result.exit_code == 2 and "--to is needed" in result.stderr and "bf16:" not in result.stderr


TOY = '''"""The names of the weights, for a test."""
from translate.errors import ConfigurationError
from translate.inference.formats.source import Exported, placed

def require(destination):
    destination.require_free([destination.path])

def export(source, destination):
    with placed(destination.path) as working:
        working.write_text("\\n".join(sorted(source.checkpoint.weights())))
    return Exported([destination.path], notes=[f"of {source.name}"])

def load(path, options):
    raise ConfigurationError(f"{path}: names alone convert nothing")
'''


def test_a_format_is_one_file_and_one_line(trained_once, run_cli, tmp_path, monkeypatch):
    """The command line, the choice by suffix and loading all read the one table."""
    run = trained_once("pix2pix") / "run-pix2pix"
    (tmp_path / "toy_format.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    assert run_cli("export", run, "names.toy").exit_code == 2, "not there yet"
    monkeypatch.setitem(FORMATS, "toy", Format("toy_format", (".toy",)))
    by_suffix, by_name = run_cli("export", run, "names.toy"), run_cli("export", run, "names", "--format", "toy")
    assert by_suffix.exit_code == by_name.exit_code == 0, by_suffix.output + by_name.output
    assert by_suffix.stdout == "names.toy\n" and "note: of pix2pix" in by_suffix.stderr
    assert "generator" in (tmp_path / "names.toy").read_text() == (tmp_path / "names").read_text()
    assert "exists already" in run_cli("export", run, "names.toy").stderr
    assert "|toy]" in "".join(run_cli("export", "--help").stdout.split())
    assert ".toy (toy)" in run_cli("export", run, "model.bin").stderr
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "photos" / "a.png")
    assert "names alone convert nothing" in run_cli("convert", "names.toy", "photos", "out").stderr


def test_no_other_file_names_the_formats():
    package = Path(translate.__file__).parent
    naming = {
        path for path in package.rglob("*.py") if re.search(r'["\'](torch-export|hub|\.pt2)["\']', path.read_text())
    }
    assert naming == {package / "inference" / "formats" / "__init__.py"}


def test_the_page_on_exporting_names_every_format():
    page = (Path(__file__).parents[2] / "docs" / "exporting.md").read_text()
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.M)) == set(FORMATS)
