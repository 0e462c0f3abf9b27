"""From spectra to ranks: policies, suggestions, and where they disagree."""
