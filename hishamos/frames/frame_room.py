"""What this room gives a workspace, loaded when it is first used: most clients have no frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hishamos.workspace import FrameMap, Workspace


class Frames:
    """Verbs over frames, for :class:`hishamos.workspace.Workspace`."""

    @staticmethod
    def mapper(workspace: Workspace) -> FrameMap:
        """Return ``ws.map``."""
        from hishamos.frames.frame_verbs import mapper

        return mapper(workspace)

    @staticmethod
    def verbs(workspace: Workspace, frame: Any) -> Any:
        """Return ``ws.frame(frame)``."""
        from hishamos.frames.frame_verbs import FrameVerbs

        return FrameVerbs(frame, workspace)
