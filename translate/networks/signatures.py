"""What a file of weights is, recognised by its keys and shapes: networks that others publish and this package lacks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


class NamedError(ValueError):
    """The file is of a known kind that is not read here; the message says which, and what can be done."""


_NOT_READ = "it is not read here; convert with the program that trained it"
_GENERATOR = "a generator converts images: give its file"
_CLASSIFIER = "it translates no images; UNIT takes it as model.perceptual_weights, `direct` as model.encoder_weights"


@dataclass(frozen=True)
class Signature:
    """A kind of file: each pattern of `keys` matches some key, none of `lacks` does; `dims`, if given, is the number of
    dimensions of the first match."""

    what: str
    way: str
    """What can be done."""
    keys: tuple[str, ...]
    dims: int | None = None
    lacks: tuple[str, ...] = ()

    def fits(self, state: Mapping[str, Any]) -> bool:
        found = [_matching(pattern, state) for pattern in self.keys]
        if not all(found) or any(_matching(pattern, state) for pattern in self.lacks):
            return False
        return self.dims in (None, getattr(state[found[0][0]], "ndim", None))


SIGNATURES = (
    Signature("an optimizer's state", _GENERATOR, (r"^param_groups$", r"^state$")),
    Signature(
        "the weights of a run of `translate train`, without its recipe",
        "give the folder of the run, of one of its checkpoints, or what `translate export RUN FOLDER` wrote",
        (r"^(generator|autoencoders)\w*\.(stem|encoders|down)\.",),
    ),
    Signature("CUT's projection of features (netF)", _GENERATOR + ", ..._net_G.pth", (r"^mlp_\d+\.0\.weight$",), 2),
    Signature(
        "a generator of CUT that is antialiased on the way up only (--no_antialias)",
        _NOT_READ,
        (r"^model\.\d+\.filt$", r"\.conv_block\."),
        lacks=(r"^model\.7\.filt$",),
    ),
    Signature(
        "a generator of CUT that is antialiased on the way down only (--no_antialias_up)",
        _NOT_READ,
        (r"^model\.7\.filt$", r"\.conv_block\."),
        lacks=(r"^model\.(1[2-9]|[2-9]\d)\.filt$",),
    ),
    Signature(
        "a ResNet generator of the PyTorch port whose blocks are padded with zeros",
        _NOT_READ,
        (r"^model\.1\.weight$", r"^model\.\d+\.conv_block\.0\.weight$"),
    ),
    Signature("a StyleGAN2 network (as CUT's --netG stylegan2)", _NOT_READ, (r"\.modulation\.weight$",)),
    Signature("MUNIT's auto-encoder of one domain", _NOT_READ, (r"^enc_style\.", r"^enc_content\.", r"^dec\.")),
    Signature(
        "UNIT's auto-encoder of one domain",
        "it is not read here; `translate train unit` trains such a model",
        (r"^enc\.model\.\d", r"^dec\.model\.\d"),
    ),
    Signature("the discriminators of MUNIT or UNIT", _GENERATOR, (r"^cnns\.\d+\.\d+\.",)),
    Signature("StarGAN v2's generator", _NOT_READ, (r"^from_rgb\.", r"^encode\.\d+\.conv1", r"^decode\.")),
    Signature("StarGAN v2's mapping network", _GENERATOR, (r"^shared\.0\.weight$", r"^unshared\."), 2),
    Signature("StarGAN v2's style encoder", _GENERATOR, (r"^shared\.0\.weight$", r"^unshared\."), 4),
    Signature("StarGAN v2's discriminator", _GENERATOR, (r"^main\.0\.weight$", r"^main\.1\.conv1\.weight$")),
    Signature("pix2pixHD's generator with a local enhancer", _NOT_READ, (r"^model1_1\.", r"\.conv_block\.")),
    Signature("pix2pixHD's discriminators", _GENERATOR, (r"^scale\d+_layer\d+\.",)),
    Signature("SPADE's generator", _NOT_READ, (r"^head_0\.norm_0\.mlp_shared", r"^up_0\.")),
    Signature("SPADE's discriminators", _GENERATOR, (r"^discriminator_\d+\.model\d+\.",)),
    Signature("SPADE's image encoder", _GENERATOR, (r"^fc_mu\.weight$", r"^fc_var\.weight$")),
    Signature("OASIS's generator", _NOT_READ, (r"^body\.\d+\.conv_0\.", r"^body\.\d+\.norm_s\.")),
    Signature("OASIS's discriminator", _GENERATOR, (r"^body_up\.", r"^layer_up_last\.")),
    Signature("UVCGAN's generator", _NOT_READ, (r"^net\.(modnet|unet|layer_input)\.",)),
    Signature("UVCGAN's discriminator", _GENERATOR, (r"^_body\.model\.", r"^_head\.net\.")),
    Signature("torchvision's VGG, a classifier", _CLASSIFIER, (r"^features\.0\.weight$", r"^features\.2\d\.")),
    Signature("torchvision's ResNet, a classifier", _CLASSIFIER, (r"^layer1\.0\.conv1\.weight$", r"^bn1\.")),
    Signature("Inception, a classifier", "`translate evaluate` takes its folder as --weights-dir", (r"^Mixed_5b\.",)),
    Signature("a diffusion model", _NOT_READ, (r"(^|\.)(input_blocks|down_blocks)\.\d",)),
)
"""In this order: the first that fits names the file."""


def _matching(pattern: str, state: Mapping[str, Any]) -> list[str]:
    return [key for key in state if re.search(pattern, key)]


def signed(state: Mapping[str, Any]) -> Signature | None:
    """The kind of file that has these keys, or None."""
    return next((signature for signature in SIGNATURES if signature.fits(state)), None)


def refuse_signed(state: Mapping[str, Any]) -> None:
    """Raises NamedError if these keys are those of a known kind that is not read here."""
    if found := signed(state):
        raise NamedError(f"{found.what}; {found.way}")


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state without the key prefixes of DataParallel and torch.compile."""
    return {re.sub(r"^((module|_orig_mod)\.)+", "", key): value for key, value in state.items()}
