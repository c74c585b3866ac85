"""A history of generated images to show to a discriminator: from Shrivastava et al. 2017, section 2.3, who replace half
a batch; exchanging image by image, as here, is from CycleGAN's code."""

import torch
from torch import Tensor, nn

from translate.utils.sides import Sides, Size


class ImagePool(nn.Module):
    """Keeps up to `capacity` generated images (channels, height, width), of `size`: N for squares, or (height, width).

    Until the pool is full, every new image is stored and shown. After that, with probability 1/2 each, a new image is
    either shown but not stored, or replaces a random stored image, which is shown instead. A `capacity` of 0 shows
    every new image. Images that are not finite are never stored. An exchange needs no host: it is recorded and resumed
    with the step.
    """

    images: Tensor
    stored: Tensor

    def __init__(self, capacity: int, channels: int, size: Size) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(capacity, channels, *Sides.of(size)))
        self.register_buffer("stored", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def exchange(self, newcomers: Tensor) -> Tensor:
        """The image to show for each of `newcomers` (batch, channels, height, width), in order, without gradient."""
        if len(self.images) == 0:
            return newcomers.detach()
        return torch.cat([self._exchange_one(image) for image in newcomers.detach().to(self.images.dtype).split(1)])

    def _exchange_one(self, newcomer: Tensor) -> Tensor:
        capacity = len(self.images)
        full = self.stored >= capacity
        trade = full & (torch.rand((), device=newcomer.device) < 0.5)
        slot = torch.where(full, torch.randint(capacity, (), device=newcomer.device), self.stored).reshape(1)
        stored = self.images.index_select(0, slot)
        finite = newcomer.isfinite().all()
        self.images.index_copy_(0, slot, torch.where(finite & (trade | ~full), newcomer, stored))
        self.stored.copy_((self.stored + finite).clamp(max=capacity))
        return torch.where(trade, stored, newcomer)
