"""Channel rules: how pruning passes through each kind of section."""

from __future__ import annotations

from seyolo.pruning.groups.rules import attention, convolution, joining, pooling, resampling, simple
from seyolo.pruning.groups.rules.base import Rules

RULES: Rules = {
    **convolution.RULES,
    **pooling.RULES,
    **resampling.RULES,
    **joining.RULES,
    **attention.RULES,
    **simple.RULES,
}
"""The rule of each section."""
