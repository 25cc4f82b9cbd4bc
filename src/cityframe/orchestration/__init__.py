"""Airflow's side: one DAG a source, one a series of cycles; alone here Airflow is known.

================  ========================================================
dags              all DAGs of a workspace, for the file in ``dags/``
pull_dag          the DAG that pulls one source
cycle_dag         the DAG that runs the cycles of one series
housekeeping_dag  the DAG that verifies ledger and archive
cut_offs          when the cycles of a series are cut off
assets            names of what the DAGs wait for
retries           what is tried again, by the branch of the error
steps             what the tasks do: each calls one function of the pipeline
settings          how a local Airflow is configured
home              the folder of its database, used by one process at a time
pools             the pools that the sources name
local_run         run DAGs in one process, without a server
serve             run all of Airflow on this machine
================  ========================================================
"""
