"""Definitions keep what was declared when they travel as text."""

from __future__ import annotations

import pytest

from hishamos.records.definitions import Parameter


@pytest.mark.parametrize(
    ("parameter", "required"), [(Parameter(), True), (Parameter(default=None), False), (Parameter(default=0), False), (Parameter(optional=True), False)]
)
def test_a_required_parameter_is_still_required_after_a_trip_over_the_wire(parameter, required):
    back = Parameter.model_validate_json(parameter.model_dump_json())
    assert parameter.required is back.required is required
    assert back == parameter
