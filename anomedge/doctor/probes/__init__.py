"""One file for each part of a device that is looked at; the directory is the registry."""
