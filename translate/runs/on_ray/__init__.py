"""Folders converted on a Ray cluster: `cluster` (the machines), `blocks` (what they are given, and give back)."""

from translate.runs.on_ray.blocks import Work, convert_on_ray, work_of

__all__ = ["Work", "convert_on_ray", "work_of"]
