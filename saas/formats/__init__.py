"""Formats of moments where no template names one: the console's."""
