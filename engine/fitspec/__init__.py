"""fitspec: declarative fits of published HistFactory likelihoods."""

__version__ = "0.1.0"
