"""Labelled images: class folders, attribute files, CSV files and idx digits as one kind of data set."""

from translate.data.labelled.labelling import LabelledFolder, LabelledSplit
from translate.data.labelled.opening import open_jointly, open_labelled, open_source_labelled, places_of, unlabelled
from translate.data.labelled.sets import buckets, join

__all__ = [
    "LabelledFolder",
    "LabelledSplit",
    "buckets",
    "join",
    "open_jointly",
    "open_labelled",
    "open_source_labelled",
    "places_of",
    "unlabelled",
]
