"""What a plain installation lacks; Fabric would import it for its version, for four seconds a process."""

raise ImportError("left out of processes that train in tests")
