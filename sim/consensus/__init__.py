"""Consensus at the vote level: quorums, Byzantine behaviour, and the tally of votes into outcomes."""
