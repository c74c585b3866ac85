"""How long tests wait before they call a child hung: for events, not for speed, on a machine however busy."""

PATIENCE = 1800.0
