"""A development marketplace on this machine: Ganache, the contracts, one oracle, as processes that we start and end."""
