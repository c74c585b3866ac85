"""The libraries of the extra `medical`, and what is said where they are missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from translate.errors import ConfigurationError

NEEDED = 'volumes need nibabel and pydicom: pip install "image-translate[medical]"'


def require_medical() -> None:
    """Raises ConfigurationError unless both libraries are installed."""
    if find_spec("nibabel") is None or find_spec("pydicom") is None:
        raise ConfigurationError(NEEDED)


def nibabel() -> Any:
    """The library for NIfTI. Raises ConfigurationError if it is not installed."""
    require_medical()
    import nibabel

    return nibabel


def pydicom() -> Any:
    """The library for DICOM. Raises ConfigurationError if it is not installed."""
    require_medical()
    import pydicom

    return pydicom
