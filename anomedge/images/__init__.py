"""Decode, list and label pictures; convert arrays to frames; draw overlays."""

from anomedge.images.labelled import read_folder, read_folders, read_normal
from anomedge.images.listing import Listing, list_pictures, scan_folder
from anomedge.images.picture import Picture
from anomedge.images.reading import (
    EIGHT_BIT_MODES,
    SUFFIXES,
    Frame,
    Mask,
    read_picture,
    stretch,
)
from anomedge.images.regions import (
    PixelRectangle,
    RegionOfInterest,
    parse_region,
    place_region,
)

__all__ = [
    "EIGHT_BIT_MODES",
    "SUFFIXES",
    "Frame",
    "Listing",
    "Mask",
    "Picture",
    "PixelRectangle",
    "RegionOfInterest",
    "list_pictures",
    "parse_region",
    "place_region",
    "read_folder",
    "read_folders",
    "read_normal",
    "read_picture",
    "scan_folder",
    "stretch",
]
