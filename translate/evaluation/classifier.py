"""The classifier to measure with: a ResNet-18 that reads labels off images, trained on real images only."""

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from translate.data.labels import UNKNOWN
from translate.models.base import ImageSpec
from translate.models.labels import Labels
from translate.utils.settings import Settings

# What torchvision's networks expect, so that programs that read their weights can read these: RGB in [0, 1],
# standardised.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
UNPOOLED_UP_TO = 32
EPOCHS = 200


class ClassifierSettings(Settings):
    """By default, 500 batches of 64 images of 64 pixels: about three minutes on one CPU core with bf16 units."""

    size: int = Field(64, ge=8)
    """Longer side in pixels of the images it reads; larger ones are reduced."""
    steps: int = Field(500, ge=1)
    """Maximum number of steps; fewer if they would show each image more than `EPOCHS` times."""
    batch_size: int = Field(64, ge=2)
    lr: float = Field(1e-3, gt=0)
    seed: int = 0

    def steps_for(self, images: int) -> int:
        """Training steps for so many images."""
        return min(self.steps, -(-EPOCHS * images // self.batch_size))


class Classifier(nn.Module):
    """torchvision's ResNet-18 (He et al. 2016) with one logit per domain; `network` has torchvision's keys.

    Takes images (batch, channels, height, width) in [-1, 1]: grey ones are repeated to RGB, those of other sizes
    resized. For other numbers of channels than 1 or 3 the first layer has that width. For images of 32 pixels or less
    the max pooling, which would leave too few places, is omitted.
    """

    def __init__(self, images: ImageSpec, size: int = 64) -> None:
        super().__init__()
        from torchvision.models import resnet18  # type: ignore[import-untyped]

        self.labels = Labels(images)
        self.size, self.channels = images.crop.within(size), images.channels
        self.network = resnet18(weights=None, num_classes=len(images.domains))
        if images.channels not in (1, 3):
            self.network.conv1 = nn.Conv2d(images.channels, 64, 7, stride=2, padding=3, bias=False)
        if max(self.size) <= UNPOOLED_UP_TO:
            self.network.maxpool = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, domains)."""
        return self.network.fc(self.features(images))

    def features(self, images: Tensor) -> Tensor:
        """The input of the last layer: (batch, 512)."""
        net = self.network
        stem = net.maxpool(net.relu(net.bn1(net.conv1(self._prepared(images)))))
        return net.avgpool(net.layer4(net.layer3(net.layer2(net.layer1(stem))))).flatten(1)

    def predict(self, images: Tensor) -> Tensor:
        """Labels (batch, domains) of 0 and 1: the most likely class, and each attribute more likely than not."""
        return self.labels.decide(self(images))

    def own(self, labels: Tensor) -> Tensor:
        """Which labels show how well a domain is read: for a class its own images', for an attribute all known ones.

        Takes `labels` (batch, domains) and returns bool (batch, domains).
        """
        asked = labels == 1
        asked[:, self.labels.attributes] = labels[:, self.labels.attributes] != UNKNOWN
        return asked

    @property
    def resize(self) -> str:
        """How images are resized for the classifier, in words."""
        return f"to {self.size.width} x {self.size.height}, bilinear with antialiasing, where they differ"

    def _prepared(self, images: Tensor) -> Tensor:
        fits = images.shape[2:] == self.size
        fitting = images if fits else F.interpolate(images, self.size, mode="bilinear", antialias=True)
        mean, deviation = (fitting.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        if images.shape[1] not in (1, 3):
            mean, deviation = mean.mean(), deviation.mean()
        return ((fitting + 1) / 2 - mean) / deviation
