"""Working the leads: tags, notes, saved views, the timeline, and changes of many leads at once."""
