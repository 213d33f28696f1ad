"""Changes of colour, beside torchvision's."""

import torch
from torchvision.transforms.v2 import functional as F

from anomedge.pipelines.training.colour import grey_of, jittered


def test_an_image_has_another_brightness_contrast_or_saturation():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(40, 3, 6, 7, generator=generator)
    torch.manual_seed(3)
    changed = jittered(images)
    torch.manual_seed(3)
    kinds = torch.randint(3, (40,)).tolist()
    factors = torch.empty(40).uniform_(0.8, 1.2).tolist()
    assert set(kinds) == {0, 1, 2}
    changes = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation)
    for i, (kind, factor) in enumerate(zip(kinds, factors, strict=True)):
        expected = changes[kind](images[i], factor)
        torch.testing.assert_close(changed[i], expected, rtol=0, atol=2e-3)


def test_grey_is_the_luminance():
    colours = torch.eye(3).reshape(3, 3, 1, 1)
    assert grey_of(colours).flatten().tolist() == [
        torch.tensor(x).item() for x in (0.2989, 0.587, 0.114)
    ]
