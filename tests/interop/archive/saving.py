"""Files of torch.save."""

import torch


def saved(value, path, protocol=2):
    torch.save(value, path, pickle_protocol=protocol)
    return path
