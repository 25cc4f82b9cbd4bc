"""Declarations: YAML files of a workspace into frozen models, errors with file and line."""
