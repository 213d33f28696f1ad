"""A certificate shows an AUROC with its counts, never alone."""

from anomedge.commands._certificate_tables import (
    auroc_headings,
    show_certificate,
)
from anomedge.files import read_json
from anomedge.parity import Certificate
from anomedge.parity.records import PictureCount
from anomedge.parity.reference import GOLDEN


def counts(**given):
    plain = dict.fromkeys(PictureCount.model_fields, 0) | {"sizes": ()}
    return PictureCount(**(plain | given))


def test_headings_hold_the_counts():
    image, pixel = auroc_headings(counts(labelled=8, anomalous=2, masked=7))
    assert " ".join(image.split()) == "image AUROC of 6 normal, 2 anomalous"
    assert " ".join(pixel.split()) == "pixel AUROC of 7 pictures"


def test_certificates_of_earlier_releases_have_fewer_counts():
    image, pixel = auroc_headings(
        counts(labelled=8, anomalous=None, masked=None)
    )
    assert "of 8 labelled" in image
    assert "uncounted" in pixel


def test_a_proof_of_few_labelled_pictures_carries_a_caution(
    bundle_paths, capsys
):
    path = bundle_paths["padim"] / "certificates" / "host.json"
    certificate = Certificate.from_json(read_json(path, 1 << 24))
    assert certificate.pictures.masked == 7
    show_certificate(certificate)
    shown = " ".join(capsys.readouterr().out.split())
    assert "3 normal" in shown and "4 anomalous" in shown
    assert "caution: image AUROC of 3 normal, 4 anomalous pictures" in shown
    many = certificate.pictures.model_copy(
        update={"labelled": 60, "anomalous": 25}
    )
    show_certificate(certificate.model_copy(update={"pictures": many}))
    assert "caution: image AUROC" not in capsys.readouterr().out


def test_an_auroc_of_golden_frames_has_labels_that_the_bundle_states(
    bundle_paths, capsys
):
    path = bundle_paths["padim"] / "certificates" / "host.json"
    certificate = Certificate.from_json(read_json(path, 1 << 24))
    line = "caution: the labels behind the AUROC are as the bundle states, not proven"
    show_certificate(certificate)
    assert line not in capsys.readouterr().out
    show_certificate(certificate.model_copy(update={"reference": GOLDEN}))
    assert line in capsys.readouterr().out
