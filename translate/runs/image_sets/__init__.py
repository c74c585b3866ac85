"""Data sets as configured by settings; `opening` finds and opens them, `scanning` tries all their images."""

from translate.runs.image_sets.clip_pairs import ClipPairs
from translate.runs.image_sets.image_set import Batches, ImageSet, Part, Stream, share_of, spanned, training_stream
from translate.runs.image_sets.kinds import LabelledImages, LabelledSource, Points, TwoDomains

__all__ = [
    "Batches",
    "ClipPairs",
    "ImageSet",
    "LabelledImages",
    "LabelledSource",
    "Part",
    "Points",
    "Stream",
    "TwoDomains",
    "share_of",
    "spanned",
    "training_stream",
]
