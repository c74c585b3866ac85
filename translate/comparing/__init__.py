"""Runs beside one another: the settings in which they differ, how far they came, and how they were measured."""

from translate.comparing.comparison import Comparison, Row, compare
from translate.comparing.run_files import State

__all__ = ["Comparison", "Row", "State", "compare"]
