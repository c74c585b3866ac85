"""Volumes, as scanners give them: NIfTI files and DICOM series, whose slices are images of a data set."""
