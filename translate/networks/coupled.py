"""Two auto-encoders, one per domain, whose inner layers may be shared (Liu et al. 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from translate.networks.autoencoder import Decoder, Encoder, Normalised, SharedBlocks


class CoupledAutoencoders(nn.Module):
    """E_a, G_a and E_b, G_b around a common code; domain 0 is a, 1 is b.

    Of the `blocks` residual blocks in each encoder and decoder, the inner `share` are used by both domains: UNIT's
    weight sharing. 0 is as in the 2018 release, whose codes are shared by losses alone. `normalised`: see
    `autoencoder.Normalised`.
    """

    def __init__(
        self,
        channels: int,
        filters: int = 64,
        downsamplings: int = 2,
        blocks: int = 4,
        share: int = 0,
        normalised: Normalised = "all",
    ) -> None:
        super().__init__()
        if not 0 <= share <= blocks:
            raise ValueError(f"share is {share}, expected 0 to {blocks}, the number of blocks")
        own = blocks - share
        self.encoders = nn.ModuleList(
            Encoder(channels, filters, downsamplings, own, normalised=normalised) for _ in "ab"
        )
        self.decoders = nn.ModuleList(
            Decoder(channels, filters, downsamplings, own, normalised=normalised) for _ in "ab"
        )
        self.stride, self.code_channels = 2**downsamplings, filters * 2**downsamplings
        self.shared_encoder = SharedBlocks(self.code_channels, share)
        self.shared_decoder = SharedBlocks(self.code_channels, share)

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
