"""Quality rules: kinds, compilation of declared rules, checks, findings and gates."""
