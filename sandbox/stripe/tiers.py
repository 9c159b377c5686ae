"""What a quantity costs: per unit, in packages, or by tiers. Pure.

`volume`: the tier that the quantity falls into prices all of it. `graduated`: each tier prices its
own part, rounded by itself as a line of its own. A tier's flat amount is due when it is reached;
the first one's always, so that it works as a base fee.
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from sandbox.stripe.money import whole
from sandbox.stripe.store import Obj


def cost(quantity: Decimal, tiers: Sequence[Obj], mode: str) -> int:
    """Minor units for the quantity. The last tier is open (`up_to` is "inf")."""
    if mode == "volume":
        tier = next(t for t in tiers if t["up_to"] == "inf" or quantity <= t["up_to"])
        return whole(quantity * unit(tier)) + flat(tier)
    total, below = 0, Decimal(0)
    for position, tier in enumerate(tiers):
        if position and quantity <= below:
            break
        top = quantity if tier["up_to"] == "inf" else min(quantity, Decimal(tier["up_to"]))
        total += whole((top - below) * unit(tier)) + flat(tier)
        below = top
    return total


def packages(quantity: Decimal, transform: Obj) -> Decimal:
    """How many packages of `divide_by` the quantity makes, rounded as it says."""
    how = ROUND_CEILING if transform["round"] == "up" else ROUND_FLOOR
    packs: Decimal = quantity / int(transform["divide_by"])
    return packs.to_integral_value(rounding=how)


def unit(tier: Obj) -> Decimal:
    return _exact(tier, "unit_amount")


def flat(tier: Obj) -> int:
    return whole(_exact(tier, "flat_amount"))


def _exact(tier: Obj, name: str) -> Decimal:
    found = tier.get(f"{name}_decimal")
    return Decimal(str(found if found is not None else tier.get(name) or 0))
