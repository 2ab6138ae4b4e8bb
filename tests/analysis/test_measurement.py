"""What a measurement is."""

import dataclasses

import pytest

from mdsuite_analysis.measurement import Measurement, about


def test_a_measurement_cannot_be_changed():
    measurement = Measurement(name="energy_drift", value=0.2, unit="meV/atom/ps")
    with pytest.raises(dataclasses.FrozenInstanceError):
        measurement.value = 0.0


def test_a_subject_adds_to_the_one_before():
    measurement = Measurement(name="steps_completed", value=4000.0, unit="steps", subject={"structure": "0"})
    assert about(measurement, replica="1").subject == {"structure": "0", "replica": "1"}
