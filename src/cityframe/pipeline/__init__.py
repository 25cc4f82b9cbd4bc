"""The use cases as plain functions; Airflow, the command line and a console call the same ones."""
