"""How Alembic runs the migrations: on the connection, and in the transaction, that it is given."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="cf_layout",
    transaction_per_migration=False,
)
context.run_migrations()
