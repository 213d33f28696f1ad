"""Pictures: reading and labelling folders, frames given as arrays or Pillow images, checks of files, overlays."""

from anomedge.images.reading import (
    EIGHT_BIT_MODES,
    SUFFIXES,
    Frame,
    Listing,
    Mask,
    Picture,
    list_pictures,
    read_folder,
    read_folders,
    read_normal,
    read_picture,
    scan_folder,
    stretch,
)

__all__ = [
    "EIGHT_BIT_MODES",
    "SUFFIXES",
    "Frame",
    "Listing",
    "Mask",
    "Picture",
    "list_pictures",
    "read_folder",
    "read_folders",
    "read_normal",
    "read_picture",
    "scan_folder",
    "stretch",
]
