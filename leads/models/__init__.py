"""What leads keeps: where they come from, the leads themselves, and the work of fetching them."""

from leads.models.backfill import Backfill, Cursor, Rate, Rejection
from leads.models.file import Import, ImportAddress, ImportChunk, ImportRejection
from leads.models.hook import Delivery, Hook
from leads.models.lead import CampaignLead, Lead, Message
from leads.models.source import Campaign, Category, Connection
from leads.models.work import BulkJob, LeadChange, LeadTag, Note, SavedView, Suppression, Tag

__all__ = [
    "Backfill",
    "BulkJob",
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
    "LeadChange",
    "LeadTag",
    "Message",
    "Note",
    "Rate",
    "Rejection",
    "SavedView",
    "Suppression",
    "Tag",
]
