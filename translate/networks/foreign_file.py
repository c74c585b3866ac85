"""Reads others' files of weights as networks, and says what a file holds that is no single network."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from translate.networks.foreign import PortGenerator, PortNetwork, from_port, recognise
from translate.networks.resnet import ResnetGenerator
from translate.networks.signatures import NamedError, refuse_signed, signed, unwrapped
from translate.networks.stargan import StarGANGenerator
from translate.networks.unet import UNetGenerator
from translate.networks.weights_file import not_finite, read_weights

_LISTED = 6
_DEPTH = 4
"""How many levels of parts within parts are looked at."""


def read_network(path: Path, running_statistics: bool = False) -> PortNetwork:
    """The network in the file, see `from_port`. Raises what `read_state` does, and ValueError for weights of no network
    that is known here."""
    state = read_state(path)
    try:
        tracked = running_statistics and isinstance(recognise(state), StarGANGenerator)
        network = from_port(state, running_statistics=tracked)
        if spoilt := not_finite(network.state_dict()):
            raise NamedError(f"{spoilt} is not finite: all its images would be black")
        return network
    except NamedError:
        raise
    except ValueError:
        refuse_several(path, state)
        raise


def read_state(path: Path | str) -> dict[str, Tensor]:
    """Reads the bare state dict in a .pth file, on the CPU.

    Raises what `read_weights` does; NamedError for a known kind that holds something else; ValueError for anything else
    but tensors.
    """
    contents = read_weights(path)
    if all(isinstance(key, str) and isinstance(value, Tensor) for key, value in contents.items()):
        return dict(contents)
    refuse_signed(contents)
    refuse_several(Path(path), contents)
    raise ValueError(f"{path}: expected a bare state dict (names to tensors), as the port saves one")


def refuse_several(path: Path, contents: Mapping[str, Any]) -> None:
    """Raises NamedError that lists the networks in a file of several, and how to take one out; else does nothing."""
    found = {keys: what for keys, what in _networks(contents) if what is not None}
    if not found:
        return
    listed = [f"{'.'.join(keys)}: {what}" for keys, what in list(found.items())[:_LISTED]]
    more = [f"and {len(found) - _LISTED} more"] if len(found) > _LISTED else []
    lightning = "a checkpoint of PyTorch Lightning" if "pytorch-lightning_version" in contents else "a file"
    generator = next((keys for keys, what in found.items() if "generator" in what and _is_read(contents, keys)), None)
    way = _taking_out(path, generator, contents) if generator else "none of them is read here"
    raise NamedError(f"{lightning} of several parts ({'; '.join([*listed, *more])}); {way}")


def described(network: PortNetwork) -> str:
    """What the network is, in words."""
    if isinstance(network, StarGANGenerator):
        return f"a generator of StarGAN for {network.labels} labels"
    if isinstance(network, UNetGenerator):
        return f"a U-Net generator of {len(network.down)} levels"
    if isinstance(network, ResnetGenerator):
        return f"a ResNet generator of {len(network.body)} blocks"
    return "a discriminator"


def _networks(contents: Mapping[str, Any], depth: int = _DEPTH) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """What lies under each key that holds a part, or is a common prefix; None for what is not known."""
    parts = {key: value for key, value in contents.items() if isinstance(value, Mapping)}
    for key, part in parts.items() if depth else ():
        known = _known(part)
        if known is not None:
            yield (key,), known
        else:
            yield from (((key, *keys), what) for keys, what in _networks(part, depth - 1))
    if not parts:
        yield from (((prefix,), _known(part)) for prefix, part in _by_prefix(contents).items())


def _known(part: Mapping[str, Any]) -> str | None:
    if (found := signed(unwrapped(part))) is not None:
        return found.what
    if not part or not all(isinstance(value, Tensor) for value in part.values()):
        return None
    try:
        return described(recognise(part))
    except ValueError:
        return None


def _by_prefix(state: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The tensors by the first word of their keys, as a module that holds several networks saves them."""
    parts: dict[str, dict[str, Any]] = {}
    for key, value in state.items():
        first, dot, rest = str(key).partition(".")
        if dot and isinstance(value, Tensor):
            parts.setdefault(first, {})[rest] = value
    return parts


def _part(contents: Mapping[str, Any], keys: tuple[str, ...]) -> Mapping[str, Any]:
    for key in keys:
        contents = contents[key] if key in contents else _by_prefix(contents)[key]
    return contents


def _is_read(contents: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    try:
        return isinstance(recognise(_part(contents, keys)), PortGenerator)
    except ValueError:
        return False


def _taking_out(path: Path, keys: tuple[str, ...], contents: Mapping[str, Any]) -> str:
    """The command that writes that part as a file of its own."""
    whole, last = f"torch.load({str(path)!r}, map_location='cpu', weights_only=True)", keys[-1]
    above = whole + "".join(f"[{key!r}]" for key in keys[:-1])
    taken = f"{above}[{last!r}]"
    if last not in _part(contents, keys[:-1]):
        prefix = f"{last}."
        taken = f"{{k.removeprefix({prefix!r}): v for k, v in {above}.items() if k.startswith({prefix!r})}}"
    code = f"import torch; torch.save({taken}, {f'{last}.pth'!r})"
    return f"take one out: {shlex.join(['python3', '-c', code])}"
