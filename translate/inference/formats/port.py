"""Weights with the keys of the PyTorch port of pix2pix and CycleGAN, or of the released StarGAN."""

import copy
import io
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from translate.data.io.values import UNIT
from translate.errors import ConfigurationError, TranslateError
from translate.inference.converter import Converter, for_inference
from translate.inference.foreign import read_generator
from translate.inference.foreign_styles import is_styled, read_styled
from translate.inference.formats.source import Destination, Exported, Source, placed
from translate.inference.options import ModelOptions
from translate.inference.provenance import require_writable
from translate.models.base import ImageSpec, Translator
from translate.models.stargan_v2 import StarGANv2
from translate.networks.blocks import BatchNorm2d, BlurPool2d, InstanceNorm2d, layers_of
from translate.networks.foreign import PortGenerator, from_port, port_state, track
from translate.networks.foreign_file import read_state
from translate.networks.resnet import ResnetGenerator
from translate.networks.stargan import StarGANGenerator
from translate.networks.unet import UNetGenerator
from translate.networks.weights_file import read_weights
from translate.utils.sides import Sides, Size
from translate.utils.user_paths import folder_named

_UNNAMED = "no option of theirs names this network; their classes build it"


class Published(NamedTuple):
    """A generator and the domain that it translates to, or None for any."""

    network: PortGenerator
    target: int | None


def require(destination: Destination) -> None:
    """Raises ConfigurationError for a place that cannot be written, or a name with a suffix of another format."""
    path = destination.path
    if path.suffix not in destination.suffixes:
        folder_named(destination.name, f"--format {destination.format}")
    require_writable(path.parent)


def export(source: Source, destination: Destination) -> Exported:
    """Writes all generators into a folder, or into a file the only one or the one that `to` names."""
    model, images, out = source.converter.model, source.converter.images, destination.path
    assert isinstance(model, Translator) and source.checkpoint is not None
    chosen = generators(model, source.checkpoint.step)
    single = out.suffix in destination.suffixes and not out.is_dir()
    if source.to or (single and len(chosen) > 1):
        wanted = source.request.set
        chosen = {name: one for name, one in chosen.items() if one.target is None or one.target in wanted}
    paths = [out] if single else [out / name for name in chosen]
    destination.require_free(paths, source.checkpoint.folder.iterdir())
    states = [published_state(generator.network) for generator in chosen.values()]
    for path, state in zip(paths, states, strict=True):
        write_port(path, state)
    evaluated = not model.converts_in_training_mode
    notes = [
        f"for their scripts, {name}: {script(name, generator.network, images.size, evaluated)}"
        for name, generator in chosen.items()
    ]
    if images.groups:
        notes.append(f"the order of its labels is {', '.join(images.domains)}; the file does not name them")
    for kind in images.kinds:
        if kind.layers:
            notes.append(f"not in these files: the {kind.channels} planes of {kind.name} are, in this order, {kind}")
        if kind.measured or (kind.type is None and kind.span != UNIT):
            low, high = kind.span
            notes.append(f"not in these files: {low:g} of {kind.name} is -1 to the generators, and {high:g} is 1")
    return Exported(paths, notes=notes)


def load(path: Path, options: ModelOptions) -> Converter:
    """Loads a published generator, whose form is read from the keys and shapes of its weights.

    Raises ConfigurationError for a file without such a generator, or for a backend that runs graphs.
    """
    options.refuse_backend_for(path)
    if styled := _styled(path):
        return for_inference(*styled, path, options.device, options.precision)
    generator, images = read_generator(path, options.evaluated, options.dropout)
    return for_inference(generator, images, path, options.device, options.precision)


def _styled(path: Path) -> tuple[StarGANv2, ImageSpec] | None:
    """StarGAN v2's model of a file that holds its networks; None for another file. Raises ConfigurationError."""
    try:
        contents = read_weights(path)
    except (OSError, ValueError):  # the reading of a single generator says what is wrong
        return None
    if not is_styled(contents):
        return None
    try:
        return read_styled(contents)
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def generators(model: Translator, step: int) -> dict[str, Published]:
    """The model's generators, keyed by the file names that those projects use.

    Raises ConfigurationError for a method, or a generator, that they lack.
    """
    found = {}
    for role, network in model.port_networks().items():
        if isinstance(network, StarGANGenerator):
            found[f"{step}-{role}.ckpt"] = Published(network, None)
        elif isinstance(network, ResnetGenerator | UNetGenerator):
            found[f"latest_net_{role}.pth"] = Published(network, 0 if role == "G_B" else 1)
    if not found:
        raise ConfigurationError(
            f"--format port: those projects have no {type(model.port_networks()['G']).__name__}; "
            "export it as .onnx, .pt2 or for a hub"
        )
    return found


def published_state(network: PortGenerator) -> dict[str, Tensor]:
    """The state dict in the form that those projects' code loads.

    Raises ConfigurationError with the reason if their network would compute something else.
    """
    if layers_of(network, BlurPool2d):
        raise ConfigurationError("--format port: the generator is antialiased (upsampling: blur); the port's are not")
    if isinstance(network, ResnetGenerator | StarGANGenerator) and network.residual:
        raise ConfigurationError(
            "--format port: the generator learns the change to its input (residual); theirs do not"
        )
    try:
        theirs = from_port(port_state(network), dropout=_dropout(network))
    except ValueError as error:
        raise ConfigurationError(f"--format port: {error}") from error
    for ours_line, their_line in zip_longest(repr(network).splitlines(), repr(theirs).splitlines(), fillvalue=""):
        if ours_line != their_line:
            raise ConfigurationError(
                f"--format port: the generator has {ours_line.strip()} where theirs has {their_line.strip()}"
            )
    if isinstance(network, StarGANGenerator):
        # The released scripts never use running statistics, but its code needs them in the file.
        whole = copy.deepcopy(network)
        track(whole)
        whole.load_state_dict(network.state_dict(), strict=False)
        return port_state(whole)
    return port_state(network)


def write_port(path: Path, state: dict[str, Tensor]) -> None:
    """Writes the bare state dict with torch.save, reads it back and compares. Raises TranslateError."""
    with placed(path) as working:
        content = io.BytesIO()  # where a disk is full, torch's own writer ends the process
        torch.save({key: value.detach().cpu().contiguous() for key, value in state.items()}, content)
        working.write_bytes(content.getbuffer())
        read = read_state(working)
        if read.keys() != state.keys() or not all(torch.equal(read[key], value) for key, value in state.items()):
            raise TranslateError(f"{path}: what was written does not read back the same")


def script(name: str, network: PortGenerator, size: Size, evaluated: bool) -> str:
    """The options with which their test script takes the file `name` of a network trained at that `size`, and does the
    same as here; or a hint if no options do. `evaluated`: whether it converts in evaluation mode here."""
    built, sides = options(network), Sides.of(size)
    if built == _UNNAMED:
        return built
    if isinstance(network, StarGANGenerator):
        if not sides.square:
            return f"no option of theirs takes rectangles, and this network was trained at {sides.pixels} pixels"
        return f"--mode test --test_iters {name.removesuffix('-G.ckpt')} --image_size {size} {built}"
    suffix = f" --model_suffix {name[12:14]}" if name.startswith("latest_net_G_") else ""
    mode = " --eval" if evaluated and layers_of(network, nn.Dropout, BatchNorm2d) else ""
    if not sides.square:
        beforehand = f"on pictures resized to {sides.pixels} beforehand: its own resizing makes squares"
        return f"--model test{suffix} {built} --preprocess none{mode}, {beforehand}"
    return f"--model test{suffix} {built} --load_size {sides} --crop_size {sides}{mode}"


def options(network: PortGenerator) -> str:
    """Command-line options with which their scripts build this network, or a hint if no options do."""
    first = layers_of(network, nn.Conv2d)[0]
    channels, filters = first.in_channels, first.out_channels
    if isinstance(network, StarGANGenerator):
        usual = len(network.down) == 2
        said = f"--g_conv_dim {filters} --g_repeat_num {len(network.body)} --c_dim {network.labels}"
        return said if usual else _UNNAMED
    if isinstance(network, ResnetGenerator):
        usual = len(network.down) == 2 and len(network.body) in (6, 9)
        kind = f"resnet_{len(network.body)}blocks"
    else:
        usual, kind = len(network.down) in (7, 8), f"unet_{2 ** len(network.down)}"
    norms = layers_of(network, InstanceNorm2d, BatchNorm2d)
    affine = isinstance(norms[0], InstanceNorm2d) and norms[0].weight is not None if norms else True
    if not usual or affine:
        return _UNNAMED
    norm = "batch" if isinstance(norms[0], BatchNorm2d) else "instance"
    fakes = network.head.out_channels
    planes = "" if channels == fakes == 3 else f" --input_nc {channels} --output_nc {fakes}"
    return f"--netG {kind} --ngf {filters} --norm {norm}{'' if _dropout(network) else ' --no_dropout'}{planes}"


def _dropout(network: PortGenerator) -> float:
    """The dropout of the network as the port knows it: 0.5 or none."""
    return 0.5 if layers_of(network, nn.Dropout) else 0.0
