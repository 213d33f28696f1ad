"""XML that OpenVINO reads in another way than the proof: refused."""

from xml.etree import ElementTree as ET

import pytest

from anomedge.bundle.ir_elements import faults_of_elements, faults_of_markup
from anomedge.bundle.operators import faults_of_ir

LAYER = '<layer id="0" name="n" type="Relu" version="opset1">{}</layer>'
NET = '<net name="n" version="11"><layers>{}</layers><edges />{}</net>'
RT_INFO = "<rt_info><model_info>{}</model_info></rt_info>"
PLAIN = NET.format(LAYER.format(""), RT_INFO.format('<a value="1" />'))


def test_a_plain_ir_has_no_fault():
    assert list(faults_of_ir(PLAIN.encode())) == []
    declared = f'<?xml version="1.0"?>\n{PLAIN}'
    assert list(faults_of_markup(declared.encode())) == []


@pytest.mark.parametrize(
    ("place", "forged"),
    [
        ("<model_info>", '<model_info xmlns="x">'),
        ("<model_info>", '<model_info xmlns="">'),
        ("<model_info>", '<model_info xmlns:x="y">'),
        ("<model_info>", '<model_info xml:lang="x">'),
        ("<layers>", '<layers xmlns="x">'),
        ("<a value=", '<x:a xmlns:x="y" value='),
    ],
)
def test_namespaces_are_refused_everywhere(place, forged):
    faults = list(faults_of_markup(PLAIN.replace(place, forged).encode()))
    assert faults
    assert "with a namespace" in faults[0]


@pytest.mark.parametrize(
    ("place", "forged"),
    [
        ("<edges />", "<edges /><!-- note -->"),
        ("<edges />", "<edges /><?note text?>"),
        ("<edges />", "<edges />note"),
        ("<net ", '<?xml version="1.0" encoding="latin1"?><net '),
    ],
)
def test_markup_that_no_ir_has(place, forged):
    (fault,) = faults_of_markup(PLAIN.replace(place, forged, 1).encode())
    assert fault.startswith("has ")


@pytest.mark.parametrize("name", ["layers", "edges", "rt_info"])
def test_a_section_of_the_graph_occurs_once(name):
    content = PLAIN.replace("</net>", f"<{name} /></net>")
    assert list(faults_of_elements(ET.fromstring(content))) == [
        f"has {name!r} twice in 'net'; readers take one or the other"
    ]


@pytest.mark.parametrize("inner", ["data", "input", "output", "rt_info"])
def test_a_part_of_a_layer_occurs_once(inner):
    once, twice = (
        NET.format(LAYER.format(f"<{inner} />" * times), "") for times in (1, 2)
    )
    assert list(faults_of_ir(once.encode())) == []
    assert len(list(faults_of_ir(twice.encode()))) == 1


@pytest.mark.parametrize(
    ("place", "forged"),
    [
        ("<edges />", '<edges note="x" />'),
        ('name="n" type', 'note="x" name="n" type'),
        ("<edges />", "<edges /><meta_data />"),
        ("<edges />", "<edges /><quantization_parameters />"),
    ],
)
def test_unknown_elements_and_attributes(place, forged):
    (fault,) = faults_of_ir(PLAIN.replace(place, forged).encode())
    assert "unknown" in fault
