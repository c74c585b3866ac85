"""Labelled sets as files that more pictures can be added to, whose labels are those of the pictures they came from."""

from translate.data.annotated.annotated_set import AnnotatedSet, Made, Original
from translate.data.annotated.opening import open_annotated

__all__ = ["AnnotatedSet", "Made", "Original", "open_annotated"]
