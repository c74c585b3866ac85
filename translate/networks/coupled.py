"""Two auto-encoders, one per domain, whose inner layers may be shared (Liu et al. 2017)."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.networks.autoencoder import Decoder, Encoder, Normalised, SharedBlocks
from translate.networks.settings import ImageNetworkSettings, InitialisationSettings


class AutoencoderSettings(ImageNetworkSettings["CoupledAutoencoders"]):
    """Of the residual blocks in each auto-encoder, `share` are common to both domains."""

    filters: int = Field(64, ge=1)
    downsamplings: int = Field(2, ge=0, le=6)
    blocks: int = Field(4, ge=0)
    share: int = Field(1, ge=0)
    """Number of blocks, the last of the encoders and the first of the decoders, that both domains share; 0 as in the
    2018 release."""
    alike: bool = False
    """Both domains start from the same weights (not published); otherwise colours may come out swapped."""
    normalised: Normalised = "all"
    """`blocks` normalises only the residual blocks' branches (COCOResGen2 of the 2017 release), so that an image's
    colours and contrast pass through; `all` is as in the 2018 release."""
    initialisation: InitialisationSettings = InitialisationSettings(kind="kaiming")

    @model_validator(mode="after")
    def _blocks_are_enough(self) -> AutoencoderSettings:
        if self.share > self.blocks:
            raise ValueError(f"share {self.share} is more than the {self.blocks} blocks there are")
        return self

    def build(self, channels: int, size: int) -> CoupledAutoencoders:
        return CoupledAutoencoders(channels, channels, **self.options)

    def between(self, channels_a: int, channels_b: int) -> CoupledAutoencoders:
        """The auto-encoders of images of these channels, with their initial weights. Raises ConfigurationError if they
        cannot start alike."""
        if self.alike and channels_a != channels_b:
            raise ConfigurationError(
                f"model.autoencoder.alike: domains of {channels_a} and {channels_b} channels cannot start alike; set "
                "model.autoencoder.alike: false"
            )
        network = CoupledAutoencoders(channels_a, channels_b, **self.options)
        self.initialise(network)
        return network

    def initialise(self, network: CoupledAutoencoders) -> None:
        super().initialise(network)
        if self.alike:
            network.start_alike()


class CoupledAutoencoders(nn.Module):
    """E_a, G_a and E_b, G_b around a common code; domain 0 is a, 1 is b.

    Of the `blocks` residual blocks in each encoder and decoder, the inner `share` are used by both domains: UNIT's
    weight sharing. 0 is as in the 2018 release, whose codes are shared by losses alone. `options` are those of
    `AutoencoderSettings`. Raises ValueError for others.
    """

    def __init__(self, channels_a: int, channels_b: int, **options: Any) -> None:
        super().__init__()
        own, channels = AutoencoderSettings(**options), (channels_a, channels_b)
        shape = own.filters, own.downsamplings, own.blocks - own.share
        self.encoders = nn.ModuleList(Encoder(count, *shape, normalised=own.normalised) for count in channels)
        self.decoders = nn.ModuleList(Decoder(count, *shape, normalised=own.normalised) for count in channels)
        self.stride = 2**own.downsamplings
        self.code_channels = own.filters * self.stride
        self.shared_encoder = SharedBlocks(self.code_channels, own.share)
        self.shared_decoder = SharedBlocks(self.code_channels, own.share)

    def start_alike(self) -> None:
        """Copies a's own layers to b's. A translation then starts as the decoded input, so whatever nothing else
        decides, such as which colour becomes which, stays unchanged."""
        for a, b in (self.encoders, self.decoders):
            b.load_state_dict(a.state_dict())

    def encode(self, images: Tensor, domain: int) -> Tensor:
        """Mean codes (batch, code_channels, height / stride, width / stride) of images of that domain."""
        return self.shared_encoder(self.encoders[domain](images))

    def decode(self, codes: Tensor, domain: int) -> Tensor:
        """Decodes codes to images of that domain, in [-1, 1]."""
        return self.decoders[domain](self.shared_decoder(codes))

    def forward(self, images: Tensor, own: int, other: int) -> Tensor:
        """Translates images of domain `own` to domain `other`, without noise."""
        return self.decode(self.encode(images, own), other)
