"""What leads keeps: where they come from, the leads themselves, and the work of fetching them."""

from leads.models.backfill import Backfill, Cursor, Rate, Rejection
from leads.models.file import Import, ImportAddress, ImportChunk, ImportRejection
from leads.models.hook import Delivery, Hook
from leads.models.lead import CampaignLead, Lead, Message
from leads.models.source import Campaign, Category, Connection

__all__ = [
    "Backfill",
    "Campaign",
    "CampaignLead",
    "Category",
    "Connection",
    "Cursor",
    "Delivery",
    "Hook",
    "Import",
    "ImportAddress",
    "ImportChunk",
    "ImportRejection",
    "Lead",
    "Message",
    "Rate",
    "Rejection",
]
