"""A stand-in for anomalib: classes that keep their arguments, and refuse to download."""

import sys
from types import ModuleType

HEADER = '''
import enum
import torch
from torch import nn


class Recorded(nn.Module):
    """Keeps its arguments."""

    def __init__(self, *args, **given):
        super().__init__()
        self.args, self.given = args, given
        if given.get("pre_trained") or given.get("weights"):
            raise OSError("download")


class TimmFeatureExtractor(Recorded):
    """Asks for pretrained weights unless told otherwise."""

    def __init__(self, *args, pre_trained=True, **given):
        super().__init__(*args, pre_trained=pre_trained, **given)
'''


def installed(monkeypatch, name, source=""):
    """Put a module of this source in the place of one of anomalib; the classes above are in it."""
    module = ModuleType(name)
    exec(HEADER + source, module.__dict__)  # noqa: S102
    monkeypatch.setitem(sys.modules, name, module)
    return module


def built(monkeypatch, model, source="", size=(32, 48), **arguments):
    """Build a model with the stand-in; without a source, its class keeps its arguments."""
    module = installed(monkeypatch, model.module, source)
    if model.class_name not in vars(module):
        vars(module)[model.class_name] = module.Recorded
    checked = model.arguments_class.model_validate(arguments)
    return model.build(checked, size)
