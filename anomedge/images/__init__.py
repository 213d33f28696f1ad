"""Decode, list and label pictures; convert arrays to frames; draw overlays."""

from anomedge.images.datasets import DataSet, Sample, Selection
from anomedge.images.held import held
from anomedge.images.labelled import (
    list_for_inspection,
    read_data_set,
    read_folder,
    read_folders,
    read_normal,
    select_normal,
)
from anomedge.images.listing import (
    GROUND_TRUTH,
    Listing,
    joined_listing,
    list_pictures,
    scan_folder,
)
from anomedge.images.picture import Picture, with_levels
from anomedge.images.reading import (
    EIGHT_BIT_MODES,
    SUFFIXES,
    Frame,
    Mask,
    check_picture,
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
    "GROUND_TRUTH",
    "SUFFIXES",
    "DataSet",
    "Frame",
    "Listing",
    "Mask",
    "Picture",
    "PixelRectangle",
    "RegionOfInterest",
    "Sample",
    "Selection",
    "check_picture",
    "held",
    "joined_listing",
    "list_for_inspection",
    "list_pictures",
    "parse_region",
    "place_region",
    "read_data_set",
    "read_folder",
    "read_folders",
    "read_normal",
    "read_picture",
    "scan_folder",
    "select_normal",
    "stretch",
    "with_levels",
]
