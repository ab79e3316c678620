"""The privacy budget ledger: what was spent on a data set, over every twin and release."""
