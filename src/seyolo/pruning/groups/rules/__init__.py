"""Channel rules: how pruning passes through each kind of section."""

from __future__ import annotations

from seyolo.pruning.groups.rules import attention, convolution, detection, joining, pooling, resampling
from seyolo.pruning.groups.rules.base import Rules

RULES: Rules = {
    **convolution.RULES,
    **pooling.RULES,
    **resampling.RULES,
    **joining.RULES,
    **attention.RULES,
    **detection.RULES,
}
"""The rule of each section."""
