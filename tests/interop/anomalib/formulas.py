"""Score and map of anomalib's models in float64, by the papers' formulas on the tensors of a checkpoint."""

import timm
import torch
import torch.nn.functional as F

PREFIX = "feature_extractor.feature_extractor."


def features(state, layers, images, mean, std, prefix=PREFIX):
    """The maps of the layers, of images (B, 3, H, W) in [0, 1]."""
    stages = [int(layer.removeprefix("layer")) for layer in layers]
    model = timm.create_model(
        "resnet18", pretrained=False, features_only=True, out_indices=stages
    )
    own = {
        key.removeprefix(prefix): tensor
        for key, tensor in state.items()
        if key.startswith(prefix)
    }
    model.load_state_dict(own)
    mean, std = (
        torch.tensor(x, dtype=torch.float64)[None, :, None, None]
        for x in (mean, std)
    )
    with torch.no_grad():
        return model.double().eval()((images.double() - mean) / std)


def blurred(maps):
    t = torch.arange(33, dtype=torch.float64) - 16
    row = torch.exp(-0.5 * (t / 4) ** 2)
    row = row / row.sum()
    padded = F.pad(maps, (16, 16, 16, 16), mode="reflect")
    tall = F.conv2d(padded, row[None, None, :, None])
    return F.conv2d(tall, row[None, None, None, :])


def padim(state, maps, size):
    """Score (B,) and map (B, 1, H, W)."""
    grid = maps[0].shape[2:]
    levels = [F.interpolate(x, size=grid, mode="nearest") for x in maps]
    x = torch.cat(levels, dim=1)[:, state["idx"]].flatten(2)
    offset = x - state["gaussian.mean"].double()
    inverse = state["gaussian.inv_covariance"].double()
    squares = torch.einsum("bip,pij,bjp->bp", offset, inverse, offset)
    distances = squares.sqrt().reshape(-1, 1, *grid)
    anomaly_map = blurred(F.interpolate(distances, size=size, mode="bilinear"))
    return anomaly_map.amax(dim=(1, 2, 3)), anomaly_map


def patchcore(state, maps, size, neighbors=9):
    """Score (B,) and map (B, 1, H, W)."""
    bank = state["memory_bank"].double()
    pooled = [F.avg_pool2d(x, 3, 1, 1) for x in maps]
    grid = pooled[0].shape[2:]
    levels = [F.interpolate(x, size=grid, mode="bilinear") for x in pooled]
    patches = torch.cat(levels, dim=1).flatten(2).mT
    distances, rows = torch.cdist(patches, bank).min(dim=2)
    scores = []
    for image, own, nearest in zip(patches, distances, rows, strict=True):
        worst = own.argmax()
        of_nearest = (bank - bank[nearest[worst]]).norm(dim=1)
        support = of_nearest.topk(neighbors, largest=False).indices
        to_support = (bank[support] - image[worst]).norm(dim=1)
        weight = 1 - torch.softmax(to_support, dim=0)[0]
        scores.append(weight * own[worst])
    maps = F.interpolate(distances.reshape(-1, 1, *grid), size=size)
    return torch.stack(scores), blurred(maps)


def stfpm(teacher, student, size):
    """Score (B,) and map (B, 1, H, W) of the maps of both networks."""
    anomaly_map = torch.ones(())
    for x, y in zip(teacher, student, strict=True):
        unit_x = x / x.norm(dim=1, keepdim=True)
        unit_y = y / y.norm(dim=1, keepdim=True)
        level = ((unit_x - unit_y) ** 2).sum(dim=1, keepdim=True) / 2
        large = F.interpolate(level, size=size, mode="bilinear")
        anomaly_map = anomaly_map * large
    return anomaly_map.amax(dim=(1, 2, 3)), anomaly_map
