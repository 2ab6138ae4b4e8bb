"""The table of covalent radii."""

import ase.data
import pytest

from mdsuite_analysis.elements import COVALENT_RADII, SYMBOLS, symbol


def test_the_radii_are_those_of_an_independent_copy_of_the_table():
    assert list(COVALENT_RADII.values()) == pytest.approx(ase.data.covalent_radii[1:97])


def test_the_symbols_stand_in_order_of_atomic_number():
    assert list(SYMBOLS) == ase.data.chemical_symbols[1:97]


def test_atomic_number_zero_is_no_element():
    with pytest.raises(ValueError, match="no element with atomic number 0"):
        symbol(0)
