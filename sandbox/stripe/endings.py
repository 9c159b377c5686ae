"""When a subscription ends, and when its trial does."""

from sandbox.stripe import billing, lifecycle
from sandbox.stripe.context import Tx
from sandbox.stripe.errors import StripeError
from sandbox.stripe.registry import Params
from sandbox.stripe.store import Obj


def explain(subscription: Obj, params: Params) -> None:
    """Note why it was cancelled."""
    for name, value in params.get("cancellation_details", {}).items():
        subscription["cancellation_details"][name] = value or None


def set_end(tx: Tx, subscription: Obj, params: Params) -> None:
    """Set or take back its end: with the period, or at a moment."""
    if "cancel_at_period_end" in params:
        ends = params["cancel_at_period_end"]
        if not ends and not subscription["cancel_at_period_end"]:
            return  # nothing new; an end that was set as a moment stays
        subscription["cancel_at_period_end"] = ends
        subscription["canceled_at"] = tx.now if ends else None
        subscription["cancel_at"] = None
        subscription["cancellation_details"]["reason"] = "cancellation_requested" if ends else None
    elif "cancel_at" in params:
        sent = params["cancel_at"]
        ends_at = [item["current_period_end"] for item in lifecycle.items(subscription)]
        special = {"min_period_end": min(ends_at), "max_period_end": max(ends_at), "": None}
        subscription["cancel_at"] = special.get(sent, sent)
        subscription["cancel_at_period_end"] = False
        ends = subscription["cancel_at"] is not None
        subscription["canceled_at"] = tx.now if ends else None
        subscription["cancellation_details"]["reason"] = "cancellation_requested" if ends else None
    follow_period(subscription)


def follow_period(subscription: Obj) -> None:
    """Move an end with the period to where the period ends now."""
    if subscription["cancel_at_period_end"]:
        ends_at = [item["current_period_end"] for item in lifecycle.items(subscription)]
        subscription["cancel_at"] = max(ends_at)


def move_trial(tx: Tx, subscription: Obj, sent: int | str) -> None:
    """Ends the trial now, or moves its end; a subscription that had none starts one."""
    if sent == "now":
        if subscription["status"] == "trialing":
            subscription["trial_end"] = tx.now
            lifecycle.notify_trial_end(tx, subscription)
            for item in lifecycle.items(subscription):
                item["current_period_end"] = tx.now
            lifecycle.renew(tx, subscription)
            billing.finalize_on_time(tx, tx.get("invoice", subscription["latest_invoice"]))
        return
    if int(sent) <= tx.now:
        raise StripeError("Invalid timestamp: must be in the future.", param="trial_end")
    subscription |= {"status": "trialing", "trial_end": sent, "billing_cycle_anchor": sent}
    subscription["trial_start"] = subscription["trial_start"] or tx.now
    for item in lifecycle.items(subscription):
        item["current_period_end"] = sent
