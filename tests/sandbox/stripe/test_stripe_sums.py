"""Sums that hold for any lines: in every currency the parts add up to the whole."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sandbox.stripe import rating

products = st.sampled_from(["leads", "vpn", "help"])
percents = st.decimals(Decimal("0.01"), Decimal(100), places=2)
discounts = st.lists(
    st.one_of(
        st.builds(lambda p: {"percent": p}, percents),
        st.builds(lambda a: {"amount": a}, st.integers(1, 10**6)),
        st.builds(
            lambda p, of: {"percent": p, "products": frozenset(of)},
            percents,
            st.sets(products, min_size=1),
        ),
    ),
    max_size=3,
).map(lambda found: [rating.Discount(f"di_{n}", **entry) for n, entry in enumerate(found)])
behaviours = st.sampled_from(["inclusive", "exclusive", "unspecified"])
taxes = st.none() | percents.map(lambda rate: rating.Tax("txr_e", "txr_i", rate, "standard_rated"))


@st.composite
def lines(draw: st.DrawFn) -> list[dict[str, Any]]:
    count = draw(st.integers(1, 6))
    return [draw(line()) for _ in range(count)]


@st.composite
def line(draw: st.DrawFn) -> dict[str, Any]:
    credit = draw(st.booleans()) and draw(st.booleans())
    amount = draw(st.integers(0, 10**7))
    return {
        "amount": -amount if credit else amount,
        "discountable": not credit,
        "pricing": {"price_details": {"product": draw(products)}},
        "_tax_behavior": draw(behaviours),
    }


@given(lines(), discounts, taxes)
def test_lines_add_up_to_the_totals(
    rows: list[dict[str, Any]], held: list[rating.Discount], tax: rating.Tax | None
) -> None:
    rating.rate(rows, held, tax)
    sums = rating.totals(rows, held)
    off = sum(entry["amount"] for row in rows for entry in row["discount_amounts"])
    taxed = [entry for row in rows for entry in row["taxes"]]
    exclusive = sum(e["amount"] for e in taxed if e["tax_behavior"] == "exclusive")
    assert sums["subtotal"] == sum(row["amount"] for row in rows)
    assert sum(entry["amount"] for entry in sums["total_discount_amounts"]) == off
    assert sum(e["amount"] for e in sums["total_taxes"]) == sum(e["amount"] for e in taxed)
    assert sums["total"] == sums["subtotal"] - off + exclusive
    net = sums["total"] - sum(e["amount"] for e in taxed)
    assert sums["total_excluding_tax"] == net
    if tax:
        assert sum(e["taxable_amount"] for e in sums["total_taxes"]) == net


@given(lines(), discounts)
def test_no_discount_makes_a_line_negative(
    rows: list[dict[str, Any]], held: list[rating.Discount]
) -> None:
    rating.rate(rows, held, None)
    for row in rows:
        assert min(row["amount"], 0) <= rating.net(row) <= max(row["amount"], 0)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**9), min_size=1, max_size=9))
def test_a_sum_is_spread_without_remainder(total: int, weights: list[int]) -> None:
    total = min(total, sum(weights))
    parts = rating.spread(total, weights)
    assert sum(parts) == total
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


@given(lines(), discounts, taxes)
def test_rating_twice_changes_nothing(
    rows: list[dict[str, Any]], held: list[rating.Discount], tax: rating.Tax | None
) -> None:
    rating.rate(rows, held, tax)
    first = rating.totals(rows, held)
    rating.rate(rows, held, tax)
    assert rating.totals(rows, held) == first
