"""What leaves a release: update packages and reports."""
