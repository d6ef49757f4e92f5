"""Histories of millions of messages that are determined by a seed, and made when somebody reads them."""
