"""Write what the sources deliver, in the formats and words that they use."""
