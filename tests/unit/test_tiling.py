"""Images worked on in bands of rows: the same function as whole, in less memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_converter import Negative
from tiny import CPU, SPEC, tiny_model
from torch import nn

from translate.data.io.images import Picture
from translate.errors import TranslateError
from translate.inference import fitting as fitting_module
from translate.inference.converter import Converter
from translate.inference.fitting import bytes_per_pixel
from translate.inference.foreign import ForeignGenerator
from translate.inference.tiling import banded
from translate.inference.tiling.account import Account
from translate.inference.tiling.all_pixels import grouped, moments
from translate.inference.tiling.rowmap import Bands, RowMap
from translate.inference.tiling.rules import RULES
from translate.inference.tiling.store import FileStore, MemoryStore
from translate.inference.tiling.window import Window
from translate.models import MODELS
from translate.models.base import Request, Translator
from translate.networks.conv_as_matmul import set_conv_as_matmul
from translate.networks.resnet import ResnetGenerator
from translate.networks.unet import UNetGenerator

FORMATS = {"first": torch.contiguous_format, "last": torch.channels_last}
ROUNDING = 1e-5


def noise(height, width, channels=3, seed=0):
    """Images whose brightness rises downwards: no band has the statistics of the whole."""
    slope = torch.linspace(-0.7, 0.7, height)[None, None, :, None]
    rng = torch.Generator().manual_seed(seed)
    return slope + 0.3 * (torch.rand(1, channels, height, width, generator=rng) * 2 - 1)


def as_map(images, rows, store=MemoryStore):
    form = torch.contiguous_format if images.is_contiguous() else torch.channels_last
    bands = Bands(rows, images.device, form, store, RULES)
    return RowMap(images.to("meta"), lambda top, bottom: images[:, :, top:bottom], bands)


def whole(fakes):
    """All rows of a map; a tensor as it is."""
    return fakes.rows(0, fakes.shape[2]) if isinstance(fakes, RowMap) else fakes


@torch.no_grad()
def difference(network, images, rows, store=MemoryStore):
    torch.manual_seed(0)
    expected = network(images)
    torch.manual_seed(0)
    found = whole(network(as_map(images, rows, store)))
    assert found.shape == expected.shape and found.dtype == expected.dtype
    return float((found.float() - expected.float()).abs().max())


TRANSLATORS = [name for name, kind in MODELS.items() if issubclass(kind, Translator)]


@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("name", TRANSLATORS)
def test_every_model_is_the_same_function_in_bands(name, rows):
    model = tiny_model(name)
    images = noise(40, 56).contiguous(memory_format=torch.channels_last)
    for target in model.targets():
        translated = lambda given, target=target: model.translate(given, Request.to(target))  # noqa: E731
        assert difference(translated, images, rows) < 2 * ROUNDING  # values within StarGAN v2 are far above 1


@pytest.mark.parametrize("upsampling", ["transposed", "resize", "pixel_shuffle", "blur"])
@pytest.mark.parametrize("normalisation", ["instance", "affine_instance", "batch", "none"])
@pytest.mark.parametrize("form", FORMATS)
def test_every_kind_of_generator_is_the_same_function_in_bands(upsampling, normalisation, form):
    torch.manual_seed(1)
    images = noise(24, 40).contiguous(memory_format=FORMATS[form])
    options = {"filters": 4, "upsampling": upsampling, "normalisation": normalisation}
    for network in (
        ResnetGenerator(3, 3, blocks=1, padding="replicate", residual=True, **options),
        ResnetGenerator(3, 3, blocks=1, padding="zeros", dropout=True, **options),
        UNetGenerator(3, 3, levels=3, dropout_placement="paper", **options),
    ):
        network.to(memory_format=FORMATS[form])
        for module in (network.train(), network.eval()):
            assert difference(module, images, 5, FileStore) < ROUNDING


def test_without_the_whole_images_statistics_the_result_would_be_another():
    """What bands are for: each half by itself comes out wrong, and by far more than rounding."""
    torch.manual_seed(0)
    network = ResnetGenerator(3, 3, filters=8, blocks=1)
    images = noise(64, 32)
    with torch.no_grad():
        halves = torch.cat([network(images[:, :, :32]), network(images[:, :, 32:])], dim=2)
        assert (network(images) - halves).abs().max() > 0.1
    assert difference(network, images, 32) < ROUNDING


@pytest.mark.parametrize("tracked", [False, True])
def test_others_generators_are_the_same_function_in_bands(tracked):
    """Instance norm of torch's own, with running statistics or without, as foreign weights may have it."""
    torch.manual_seed(0)
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=tracked)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), norm, nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
    network(noise(24, 24))
    for module in (network.train(), network.eval()):
        assert difference(module, noise(24, 24), 7) < ROUNDING
    generator = ForeignGenerator(UNetGenerator(3, 3, filters=4, levels=6), evaluated=False)
    assert difference(lambda images: generator.translate(images, Request.to(1)), noise(64, 64), 7) < ROUNDING


def test_where_small_maps_go_as_products_bands_are_the_same_function():
    network = UNetGenerator(3, 3, filters=4, levels=6).eval()
    set_conv_as_matmul(network, True)
    assert difference(network, noise(64, 64), 7) < ROUNDING


def test_bf16_stays_bf16():
    torch.manual_seed(0)
    network = ResnetGenerator(3, 3, filters=8, blocks=1)
    images = noise(32, 48).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert difference(network, images, 5, FileStore) <= 2 / 128


def test_enlarging_is_torchs():
    for mode in ("nearest", "bilinear"):
        for factor in (2, 3):

            def enlarge(images, mode=mode, factor=factor):
                return F.interpolate(images, scale_factor=factor, mode=mode)

            assert difference(enlarge, noise(9, 7), 4) < 1e-6


def test_an_operation_without_a_rule_is_refused_by_name():
    with pytest.raises(NotImplementedError, match=r"aten\.sin.*--tile off"), torch.no_grad():
        as_map(noise(8, 8), 4).sin()


@pytest.mark.parametrize("rows", [1, 5, 64])
def test_moments_are_those_of_the_whole_map(rows):
    images = noise(37, 11, channels=4) + 100  # float32 sums of squares would lose the variance
    mean, variance = moments(as_map(images, rows))
    wanted_variance, wanted_mean = torch.var_mean(images.double(), (0, 2, 3), correction=0)
    assert ((mean - wanted_mean) / wanted_mean).abs().max() < 1e-6
    assert ((variance - wanted_variance) / wanted_variance).abs().max() < 1e-4
    mean, variance = grouped(mean, variance, 2)
    wanted_variance, wanted_mean = torch.var_mean(images.double().view(2, -1), 1, correction=0)
    assert ((mean.view(2, 2)[:, 0] - wanted_mean) / wanted_mean).abs().max() < 1e-6
    assert ((variance.view(2, 2)[:, 1] - wanted_variance) / wanted_variance).abs().max() < 1e-4


@pytest.mark.parametrize("kind", [MemoryStore, FileStore])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.bool])
def test_what_is_stored_is_read_back(kind, dtype):
    values = (torch.randn(1, 3, 11, 5) > 0).to(dtype) if dtype == torch.bool else torch.randn(1, 3, 11, 5).to(dtype)
    store = kind(3, 11, 5, dtype)
    for top, bottom in ((4, 11), (0, 4)):
        store.write(top, values[:, :, top:bottom])
    assert torch.equal(store.read(0, 11), values)
    assert torch.equal(store.read(3, 9), values[:, :, 3:9])


# What decides


def test_bytes_per_pixel_are_counted():
    def run(images):
        enlarged = images.repeat(1, 4, 1, 1)  # 16 bytes a pixel
        return enlarged.relu().tanh()  # 32 more; the first is alive to the end

    assert bytes_per_pixel(run, 1, 16, 16) == 48
    offset = torch.zeros(1000)
    assert bytes_per_pixel(lambda images: (offset + 1, images + 1)[1], 1, 16, 16) == 4


@pytest.fixture
def converter():
    torch.manual_seed(0)
    return Converter(tiny_model("cyclegan"), SPEC, CPU)


def picture(height, width, dtype=np.uint8):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (height, width, 3)).astype(dtype)
    return Picture(pixels, alpha=pixels[..., 0])


@pytest.mark.parametrize(("height", "width"), [(33, 47), (5, 100), (64, 64)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pictures_of_any_size_come_out_alike(converter, height, width, dtype):
    given = picture(height, width, dtype)
    untiled = converter.convert_pictures([given], Request.to(1))[0]
    converter.fitting.tile = 6
    tiled = converter.convert_pictures([given], Request.to(1))[0]
    assert tiled.pixels.dtype == dtype and tiled.pixels.shape == (height, width, 3)
    assert np.abs(tiled.pixels.astype(int) - untiled.pixels).max() <= 1
    assert (tiled.alpha == given.alpha).all()


def test_memory_decides(converter, monkeypatch):
    taken = []
    monkeypatch.setattr(fitting_module, "_SMALL", 1000)
    network, converted = converter.network, converter.network.convert_in_bands
    monkeypatch.setattr(network, "convert_in_bands", lambda *given: taken.append(given[1].rows) or converted(*given))
    images = [picture(48, 64)]
    needed = converter.fitting._need(48, 64)
    for free, tile, bands in ((2.1 * needed, "auto", 0), (1.9 * needed, "auto", 1), (1.9 * needed, "off", 0)):
        taken.clear()
        monkeypatch.setattr(fitting_module, "free_memory", lambda device, free=free: int(free))
        converter.fitting.tile = tile
        converter.convert_pictures(images, Request.to(1))
        assert len(taken) == bands
        assert all(1 <= rows < 48 for rows in taken)


def test_a_batch_that_is_too_large_is_halved_and_an_image_worked_on_in_bands(converter, monkeypatch):
    images = [picture(20, 20) for _ in range(7)]
    expected = [one.pixels for one in converter.convert_pictures(images, Request.to(1))]
    assert converter.fitting._need(20, 20) > 0  # measured while there is memory
    converter.fitting.together = True  # as on a GPU
    translate, sizes, told = converter.model.translate, [], []
    limit = 2

    def greedy(given, request):
        sizes.append(len(given))
        if len(given) > limit and not isinstance(given, RowMap):
            raise torch.OutOfMemoryError("out of memory")
        return translate(given, request)

    monkeypatch.setattr(converter.model, "translate", greedy)
    converter.log = told.append
    for _ in range(2):
        found = [one.pixels for one in converter.convert_pictures(images, Request.to(1))]
        assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1, *[1] * 7] and len(told) == 2 and "1 from here on" in told[1]
    limit = 0
    found = converter.convert_pictures(images[:1], Request.to(1))[0].pixels
    assert np.abs(found.astype(int) - expected[0]).max() <= 1
    assert "in bands of rows" in told[-1]
    converter.fitting.tile = "off"
    with pytest.raises(torch.OutOfMemoryError):
        converter.convert_pictures(images[:1], Request.to(1))


def test_maps_go_to_files_where_memory_is_short_and_as_many_as_the_disk_holds(monkeypatch):
    monkeypatch.setattr(banded, "available_ram", lambda: 1000)
    assert banded.store_for(500) == (MemoryStore, Account()) and banded.store_for(501) == (FileStore, Account())
    store, account = banded.store_for(10**18)
    assert store is FileStore and 0 < account.room <= banded.room_for_files()


MEASURED = """
import resource, sys, numpy as np, torch
from torch import nn
from translate.inference.tiling.banded import convert_banded
from translate.inference.tiling.rowmap import Bands
from translate.inference.tiling.rules import RULES
from translate.inference.tiling.store import FileStore
from translate.networks.blocks import InstanceNorm2d
network = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), InstanceNorm2d(64), nn.ReLU(), nn.Conv2d(64, 3, 1))
bands = Bands(16, torch.device("cpu"), torch.channels_last, FileStore, RULES)
def run(side):
    convert_banded(network, np.zeros((side, side, 3), np.uint8), side, side, bands)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
print(run(64), run(1000))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
def test_memory_does_not_grow_with_the_maps():
    """A map of 64 channels and 1000 x 1000 pixels has 256 MB, and as a whole two are held."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", MEASURED], cwd=root, capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert after - before < 100


def test_the_benchmark_finds_no_seams(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    from large_image import measure

    result = measure(320, 256, filters=4, blocks=1, rows=16, precision="float32")
    seams = result["seams"]["float32"]
    assert seams["pixels"] < ROUNDING and seams["steps across borders"] < 2 * ROUNDING
    assert seams["largest such step, whole"] > 0.05 and seams["pixels, bands from float64"] < ROUNDING


def test_a_converter_says_of_such_a_network_that_it_has_no_bands():
    class Sines(Negative):
        def convert(self, images, to):
            return images.sin()

    converter = Converter(Sines(), SPEC, CPU)
    converter.fitting.tile = 8
    with pytest.raises(TranslateError, match=r"cannot be run in bands of rows: .*--tile off"):
        converter.convert(np.zeros((32, 32, 3), np.uint8))


@torch.no_grad()
def by_windows(network, images, rows, room=0.0):
    """The images' translation with `room` bytes for whole maps, and the account of it."""
    torch.manual_seed(0)
    account = Account(room)
    form = torch.contiguous_format if images.is_contiguous() else torch.channels_last
    bands = Bands(rows, images.device, form, FileStore, RULES, account, images.shape[2])
    found = network(RowMap(images.to("meta"), lambda top, bottom: images[:, :, top:bottom], bands))
    parts = [found.rows(top, bottom) for top, bottom in bands.of(found.shape[2])]
    return torch.cat(parts, 2), account


@pytest.mark.parametrize(("rows", "upsampling"), [(2, "transposed"), (7, "blur"), (64, "resize")])
def test_maps_that_are_computed_again_are_the_same_function_and_no_pass_computes_a_row_twice(
    rows, upsampling, monkeypatch
):
    computed = []
    extend = Window._extend

    def counted(self, top, bottom):
        computed.append((self, top, bottom))
        extend(self, top, bottom)

    monkeypatch.setattr(Window, "_extend", counted)
    torch.manual_seed(0)
    resnet = ResnetGenerator(3, 3, filters=4, blocks=2, upsampling=upsampling)
    for network, norms in ((resnet, 9), (UNetGenerator(3, 3, filters=4, levels=4, upsampling=upsampling), 5)):
        computed.clear()
        images = noise(160, 32)
        with torch.no_grad():
            torch.manual_seed(0)
            expected = network(images)
        found, account = by_windows(network, images, rows)
        assert (found - expected).abs().max() < ROUNDING and account.most_stored == 0 < account.most_held
        assert account.statistics == norms and len(account.starts) == norms + 1
        # Windows begin anew at the top only, and go down without a gap.
        ends = {}
        for window, top, bottom in computed:
            assert top in (0, ends.get(window))
            ends[window] = bottom


def test_what_windows_hold_does_not_grow_with_the_height_and_sums_are_kept_where_two_have_room():
    torch.manual_seed(0)
    network = ResnetGenerator(3, 3, filters=4, blocks=2)
    held = [by_windows(network, noise(height, 16), 8)[1].most_held for height in (120, 240)]
    assert held[0] == held[1]
    images = noise(120, 16)
    size = 4 * 16 * 30 * 4  # bytes of the sum of a residual block
    found, account = by_windows(network, images, 8, 2.0 * size)
    assert account.most_stored == 2 * size and (found - network(images)).abs().max() < ROUNDING
    assert account.stored == 0  # files are freed
    assert by_windows(network, images, 8, 2.0 * size - 1)[1].most_stored == 0
