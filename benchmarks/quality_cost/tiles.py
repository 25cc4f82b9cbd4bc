def measured(n):
    return iter(())
