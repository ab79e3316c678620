"""Pictures keep names as they are, and colours and ids are the page's."""

import re

import numpy as np

from manatee.provisioning.reports._figures import columns_picture, matrix_picture


def test_a_name_is_no_formula():
    names = ["cost in $a$", "b_1"]
    picture = matrix_picture("p", names, [("twin", np.eye(2))], signed=True, title="t", text="text")
    assert "cost in $a$" in picture
    assert "b_1" in picture


def test_two_pictures_on_one_page_share_no_id():
    panels = [("a", ["x", "y"], [0.4, 0.6], [0.5, 0.5], 0.1)]
    pictures = [columns_picture(name, panels, reference="real") for name in ("one", "two")]
    first, second = (set(re.findall(r'id="([^"]+)"', picture)) for picture in pictures)
    assert first
    assert not first & second


def test_colours_are_left_to_the_page():
    panels = [("a", ["x", "y"], [0.4, 0.6], [0.5, 0.5], 0.0)]
    picture = columns_picture("p", panels, reference="real")
    assert 'class="fill-real"' in picture
    assert "stroke-twin" in picture
    assert "style=" not in picture
    assert "<metadata" not in picture
