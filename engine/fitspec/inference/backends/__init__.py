"""Likelihoods that inference can use."""
