"""What laws of noise are held to: kinds, rates and sentences with a place for each kind."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from pipeline_steps.noise.catalog import KINDS

SENTENCES = (
    "I don't know where my card is, and it has not come yet.",
    "They're here; please write to me at once, or I will not wait.",
    "The film is neither funny nor sad, but their music is great!",
    "Would you read the whole piece, or only the first four lines?",
    "We have sent you our new address: 12 Mill Road, second floor.",
    "He couldn't find the right file because it was not there.",
)
EVERY_KIND = pytest.mark.parametrize("kind", sorted(KINDS))
rates = st.floats(0, 1)
