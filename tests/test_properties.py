"""Property-based: whatever stands in a manifest or a picture file, the answer is a value or a clear refusal."""

import io
import json
import math
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from anomedge.bundle import (
    LOCAL,
    Bundle,
    LocalSettings,
    Manifest,
    read_manifest,
    write_local,
)
from anomedge.errors import AnomedgeError, BundleError, InputError
from anomedge.files import canonical_json, safe_member, sha256_of_bytes
from anomedge.images import read_picture, stretch

FEW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
    ],
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
)
json_values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def content(bundle_paths):
    return json.loads((bundle_paths["patchcore"] / "manifest.json").read_text())


@pytest.fixture(scope="module")
def scratch(bundle_paths, tmp_path_factory):
    folder = tmp_path_factory.mktemp("properties") / "part.anomedge"
    shutil.copytree(bundle_paths["patchcore"], folder)
    return folder


def places(value, path=()):
    """Every path into a JSON value."""
    yield path
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def signed(content):
    unsigned = {key: value for key, value in content.items() if key != "digest"}
    try:
        return content | {"digest": sha256_of_bytes(canonical_json(unsigned))}
    except (ValueError, UnicodeEncodeError):
        return content


@FEW
@given(data=st.data(), new=json_values, sign=st.booleans())
def test_any_change_of_a_manifest_is_refused_or_means_what_it_says(
    scratch, content, data, new, sign
):
    path = data.draw(st.sampled_from(list(places(content))[1:]))
    changed = replaced(content, path, new)
    changed = signed(changed) if sign and isinstance(changed, dict) else changed
    (scratch / "manifest.json").write_text(json.dumps(changed))
    try:
        manifest = read_manifest(scratch)
    except BundleError as error:
        assert str(error).strip()
        assert len(str(error)) < 2000
        return
    # What was let through is whole and finite, and says the same when it is written again.
    again = Manifest.model_validate(
        json.loads(canonical_json(manifest.model_dump(mode="json")))
    )
    assert again == manifest
    assert all(
        math.isfinite(x)
        for x in (manifest.decision.threshold, manifest.decision.scale)
    )
    assert manifest.decision.scale > 0
    for name in manifest.files:
        try:
            member = safe_member(scratch, name)
        except BundleError:
            continue
        assert member.resolve().is_relative_to(scratch.resolve())


@FEW
@given(
    raw=st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_as_local_settings(scratch, content, raw):
    (scratch / "manifest.json").write_bytes(canonical_json(content))
    (scratch / LOCAL).write_bytes(raw)
    try:
        decision = Bundle(scratch, Manifest.model_validate(content)).decision
    except BundleError:
        return
    finally:
        (scratch / LOCAL).unlink()
    assert math.isfinite(decision.threshold)


finite = st.floats(allow_nan=False, allow_infinity=False)


@FEW
@given(
    threshold=finite,
    pixel=st.none() | finite,
    by=st.text(max_size=30),
    scores=st.lists(finite, min_size=1, max_size=5),
)
def test_local_settings_come_back_and_decide(
    scratch, content, threshold, pixel, by, scores
):
    bundle = Bundle(scratch, Manifest.model_validate(content))
    try:
        written = write_local(
            bundle,
            LocalSettings(threshold=threshold, pixel_threshold=pixel, by=by),
        )
        assert written.decision.threshold == threshold
        assert written.decision.pixel_threshold == (
            bundle.manifest.decision.pixel_threshold if pixel is None else pixel
        )
        np.testing.assert_array_equal(
            written.decision.is_anomalous(scores), np.array(scores) > threshold
        )
    finally:
        (scratch / LOCAL).unlink()


@FEW
@given(name=st.text(max_size=40))
def test_no_member_lies_outside(tmp_path_factory, name):
    root = tmp_path_factory.getbasetemp()
    try:
        path = safe_member(root, name)
    except (BundleError, ValueError):
        return
    assert path.resolve().is_relative_to(root.resolve())
    assert path != root


frames = st.tuples(
    st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1)
).map(
    lambda x: np.random.default_rng(x[2]).integers(
        0, 256, (x[0], x[1], 3), dtype=np.uint8
    )
)


@FEW
@given(
    frame=frames,
    form=st.sampled_from(["PNG", "BMP", "TIFF"]),
    turn=st.integers(1, 8),
)
def test_a_lossless_picture_is_what_was_saved_turned_as_exif_says(
    tmp_path_factory, frame, form, turn
):
    image, path = (
        Image.fromarray(frame),
        tmp_path_factory.getbasetemp() / "picture",
    )
    exif = image.getexif()
    if form != "BMP":
        exif[0x0112] = turn
    image.save(path, format=form, **({} if form == "BMP" else {"exif": exif}))
    upright = {1: 0, 3: 2, 6: 3, 8: 1}
    read = read_picture(path)
    if form == "BMP" or turn in upright:
        np.testing.assert_array_equal(
            read, np.rot90(frame, 0 if form == "BMP" else upright[turn])
        )
    assert read.dtype == np.uint8
    assert sorted(read.reshape(-1, 3).tolist()) == sorted(
        frame.reshape(-1, 3).tolist()
    )
    assert stretch(read, (5, 7)).shape == (5, 7, 3)
    np.testing.assert_array_equal(stretch(read, read.shape[:2]), read)


@FEW
@given(
    frame=frames,
    cut=st.floats(0, 1),
    flip=st.integers(0, 10**6),
    form=st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "BMP"]),
)
def test_a_harmed_picture_is_refused_or_has_pixels(
    tmp_path_factory, frame, cut, flip, form
):
    whole = io.BytesIO()
    Image.fromarray(frame).save(whole, format=form)
    data = bytearray(whole.getvalue())
    data[flip % len(data)] ^= 1 << (flip % 8)
    path = tmp_path_factory.getbasetemp() / "harmed"
    path.write_bytes(data[: max(1, round(len(data) * cut))])
    try:
        read = read_picture(path)
    except InputError as error:
        assert str(path) in str(error)
        return
    assert read.dtype == np.uint8
    assert read.ndim == 3
    assert read.shape[2] == 3


@FEW
@given(data=st.binary(max_size=300))
def test_any_bytes_as_a_picture(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_picture(path)


@FEW
@given(data=st.binary(max_size=400))
def test_any_bytes_as_a_model(tmp_path_factory, data):
    from anomedge.pipelines.model import load

    path = tmp_path_factory.getbasetemp() / "model"
    path.write_bytes(data)
    with pytest.raises(AnomedgeError):
        load(path)
