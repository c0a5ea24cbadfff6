"""Pictures drawn off screen with VTK, and rays cast at surfaces."""
