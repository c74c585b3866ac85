"""Named data sets: their cards, and how they are fetched."""
