"""Runs side by side: the settings in which they differ, how far they came, and their validation and scores."""

from translate.runs.comparing.comparison import Comparison, compare
from translate.runs.comparing.rows import Row
from translate.runs.comparing.run_files import State

__all__ = ["Comparison", "Row", "State", "compare"]
