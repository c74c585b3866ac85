"""The one table of measures, and the functions that compare translations with the truth.

Images are (batch, channels, height, width) in [-1, 1]; everything is computed and returned in float64. Differences are
on the scale where black is 0 and white is 1: half of what the losses' L1 (`translate.models.base.l1`) would say.

A measure is a function and its entry in MEASURES; from a file of your own, too: `MEASURES["mine"] = Measure(...)`.
Validations while training, `translate evaluate`, report.html and `translate compare` all read this table.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.evaluation.label_measures import mean_iou, pixel_accuracy

RANGE = 2.0  # of image values
Better = Literal["lower", "higher", "neither"]


def absolute_error(images: Tensor, truths: Tensor) -> Tensor:
    """Mean absolute difference on the scale where black is 0 and white is 1."""
    images, truths = of_equal_shape(images, truths)
    return (images - truths).abs().mean() / RANGE


def psnr(images: Tensor, truths: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, averaged over images; infinite if any image equals its truth."""
    images, truths = of_equal_shape(images, truths)
    squared = (images - truths).square().flatten(1).mean(1)
    return (10 * torch.log10(RANGE**2 / squared)).mean()


def ssim(images: Tensor, truths: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004, eq. 13), averaged over windows, channels and images; 1 means equal.

    Computed where black is 0 and white is 1, because its luminance term compares brightnesses in proportion. Uses
    Gaussian windows of 11 x 11 pixels with sigma 1.5 that lie fully inside the image. For images with a side below 11
    the window shrinks to the largest odd size that fits; such values are comparable only with one another.
    """
    images, truths = ((values + 1) / RANGE for values in of_equal_shape(images, truths))
    window = _gaussian(min(11, *(side - 1 + side % 2 for side in images.shape[-2:])), images.device)
    products = torch.stack([images, truths, images * images, truths * truths, images * truths])
    mean_x, mean_y, square_x, square_y, product = _windows(products, window)
    variance_x, variance_y = square_x - mean_x.square(), square_y - mean_y.square()
    covariance = product - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).mean()


def of_equal_shape(images: Tensor, truths: Tensor) -> tuple[Tensor, Tensor]:
    """Both in double precision. Raises ValueError unless they are (batch, channels, height, width) of equal shape."""
    if images.shape != truths.shape or images.dim() != 4:
        shapes = f"{tuple(images.shape)} and {tuple(truths.shape)}"
        raise ValueError(f"expected two batches of equal shape (b, c, h, w), not {shapes}")
    return images.double(), truths.double()


def _gaussian(size: int, device: torch.device) -> Tensor:
    offsets = torch.arange(size, dtype=torch.float64, device=device) - size // 2
    weights = torch.exp(-offsets.square() / (2 * 1.5**2))
    return weights / weights.sum()


def _windows(stack: Tensor, window: Tensor) -> Tensor:
    """Weighted means over all windows that lie fully inside: (n, b, c, h, w) to (n, b, c, h', w')."""
    planes = stack.flatten(0, 2).unsqueeze(1)
    planes = F.conv2d(F.conv2d(planes, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    return planes.squeeze(1).unflatten(0, stack.shape[:3])


@dataclass(frozen=True)
class Measure:
    """What a number says: the `title` of its table, its `unit`, which direction is `better`, and in words how it is
    measured.

    `function` compares translations with their true translations, both (batch, channels, height, width) in [-1, 1], and
    returns a scalar, `perfect` for the truth itself; None for what a classifier or a set of images is needed for.
    `decimals` are shown after the point; None shows four digits in all.
    """

    title: str
    function: Callable[[Tensor, Tensor], Tensor] | None = None
    unit: str = ""
    better: Better = "neither"
    protocol: str = ""
    decimals: int | None = None
    perfect: float | None = None
    of_labels: bool = False
    """Whether `function` compares label maps, and not images."""

    def about(self) -> dict[str, str | int]:
        """What summary.json says of it, so that a page can be made of that file alone."""
        facts = {"unit": self.unit, "better": self.better, "decimals": self.decimals, "measure": self.protocol}
        return {key: value for key, value in facts.items() if value not in ("", "neither", None)}


ERROR_IN = "error/"
THUMBNAIL = 16
"""Side in pixels of the thumbnails between which differences of unlike images are taken."""
_ZERO_TO_ONE, _WANG = "where black is 0 and white 1", "as Wang et al. 2004 have it"
_RMS = f"root mean square, 0-1 scale, at {THUMBNAIL} x {THUMBNAIL} pixels"
_SPAN = "of whole slices with some body, mean over slices, on the scale of the domain's span"
_SYNTHRAD = "in 3-D inside the body, values clipped to -1024 and 3000 HU, as its published code has it"
_WARPED = "difference of frames from those before, moved along the clip's own flow, where it shows the same (Lai 2018)"
_OF_LABELS = "of all labelled pixels of all images together"
MEASURES: dict[str, Measure] = {
    "l1": Measure("L1 to the truth, 0-1 scale", absolute_error, "", "lower", _ZERO_TO_ONE, 4, perfect=0.0),
    "psnr": Measure("PSNR to the truth, dB", psnr, "dB", "higher", "in dB, of a peak of 1", 2, perfect=math.inf),
    "ssim": Measure("SSIM to the truth, 0-1 scale", ssim, "", "higher", _WANG, 4, perfect=1.0),
    "mean_iou": Measure(
        "mean IoU with the true classes", mean_iou, "", "higher", _OF_LABELS, 4, perfect=1.0, of_labels=True
    ),
    "pixel_accuracy": Measure(
        "pixels of the true class", pixel_accuracy, "", "higher", _OF_LABELS, 4, perfect=1.0, of_labels=True
    ),
    # Whole volumes, inside the body.
    "volume_error": Measure(
        "mean absolute error inside the body, by patient", None, "", "lower", "over voxels", 2, perfect=0.0
    ),
    "slice_psnr": Measure("PSNR of slices, by patient", None, "dB", "higher", _SPAN, 2, perfect=math.inf),
    "slice_ssim": Measure("SSIM of slices, by patient", None, "", "higher", _SPAN, 4, perfect=1.0),
    "synthrad_psnr": Measure("SynthRAD's PSNR, by patient", None, "dB", "higher", _SYNTHRAD, 2, perfect=math.inf),
    "synthrad_ssim": Measure("SynthRAD 2023's SSIM, by patient", None, "", "higher", _SYNTHRAD, 4, perfect=1.0),
    "synthrad_ms_ssim": Measure("SynthRAD 2025's MS-SSIM, by patient", None, "", "higher", _SYNTHRAD, 4, perfect=1.0),
    # Sound; measured on samples, so not by a function of images.
    "si_sdr": Measure("SI-SDR to the clean sound, dB", None, "dB", "higher", "scale-invariant, whole files", 2),
    "stoi": Measure("STOI beside the clean sound, 0-1 scale", None, "", "higher", "Taal et al. 2011", 4),
    # Clips.
    "flicker": Measure("flicker, 0-1 scale", None, "", "lower", _WARPED, 4),
    # What a classifier of real images reads.
    "label_error": Measure("classification error of translations", None, "%", "lower", decimals=1),
    "other_labels": Measure("other attributes read as they were", None, "%", "higher", decimals=1),
    "domain_accuracy": Measure(
        "translations that the classifier takes for the wanted domain", None, "%", "higher", decimals=1
    ),
    "style_spread": Measure(
        "difference between the styles of one picture, by the classifier's features", None, "", "higher", decimals=2
    ),
    "digit_accuracy": Measure("digits read right", None, "%", "higher", decimals=1),
    "digit_accuracy/translated": Measure(
        "digits read right by the source's classifier", None, "%", "higher", decimals=1
    ),
    "sample_accuracy": Measure("samples read as the class wanted", None, "%", decimals=1),
    "sample_share": Measure("samples read as each class", None, "%", decimals=1),
    # What a segmenter of real images finds in those made of label maps.
    "segmented/mean_iou": Measure(
        "mean IoU of the label maps with what a segmenter finds", None, "", "higher", _OF_LABELS, 4
    ),
    "segmented/pixel_accuracy": Measure("pixels found to be of their class", None, "", "higher", _OF_LABELS, 4),
    # What networks score that were trained without and with augmented pictures.
    "downstream/labels": Measure(
        "labels of real test pictures read right, of training without and with augmented pictures",
        None,
        "%",
        "higher",
        decimals=1,
    ),
    "downstream/mean_iou": Measure(
        "mean IoU on real test pictures, of training without and with augmented pictures",
        None,
        "",
        "higher",
        decimals=4,
    ),
    # Sets of images; distances are taken in several spaces of features.
    "change": Measure("change: difference of a translation from its input", protocol="L1, 0-1 scale", decimals=4),
    "diversity": Measure("diversity: difference of two translations", None, "", "higher", _RMS, decimals=4),
    "kid": Measure("KID x 1000", better="lower", protocol="cubic kernel, unbiased, all images at once"),
    "frechet": Measure("Frechet distance", better="lower"),
    "distances": Measure("distances", better="lower"),
    "patch_distance": Measure(
        "patch distance to real images",
        better="lower",
        protocol="sliced Wasserstein distance of patches to real images, in their standard deviations",
        decimals=4,
    ),
    # Validations of models that generate from noise.
    "modes_covered": Measure("modes covered", better="higher", decimals=0),
    "near_a_mode": Measure("near a mode", better="higher", decimals=4),
    "largest_share": Measure("share of the largest mode"),
    "evidence_lower_bound": Measure("evidence lower bound", better="higher", decimals=2),
    "log_likelihood_by_100_draws": Measure("log likelihood by 100 draws", better="higher", decimals=2),
}


def with_truth(labels: bool = False) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """The functions that compare images, or label maps, with the truth, by name."""
    found = {name: measure.function for name, measure in MEASURES.items() if measure.of_labels == labels}
    return {name: function for name, function in found.items() if function}


def compare_with_truth(images: Tensor, truths: Tensor, labels: bool = False) -> dict[str, float]:
    """Every measure that compares images, or label maps, with the truth, by name; both are (batch, channels, height,
    width) in [-1, 1]."""
    return {name: float(function(images, truths)) for name, function in with_truth(labels).items()}


def in_unit(unit: str) -> str:
    """The key of the mean absolute error in the values of the target, such as HU."""
    return f"{ERROR_IN}{unit}"


def measure_of(key: str) -> Measure:
    """The measure of this key, such as `kid` or, in a space, `kid/inception`; one that is not in the table, such as
    that of a file of yours that is not loaded, has neither unit nor direction."""
    if key.startswith(ERROR_IN):
        unit = key.removeprefix(ERROR_IN)
        return Measure(f"mean absolute error, {unit}", None, unit, "lower", "in the values of the target", perfect=0.0)
    return MEASURES.get(key) or MEASURES.get(key.partition("/")[0]) or Measure(key)


def key_in_space(name: str, space: str) -> str:
    """The key of a measure in a space of features."""
    return f"{name}/{'_'.join(space.lower().split())}" if space else name


def key_of_table(table: str) -> str:
    """The key of the measure whose table has this title, as files of scores of version 0.1 need it; the title itself if
    none has."""
    title, _, space = table.partition(" in ")
    return next((key_in_space(name, space) for name, measure in MEASURES.items() if measure.title == title), table)
