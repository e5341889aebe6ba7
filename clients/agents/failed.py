"""The failure of an agent that had begun to work."""

from proctor.schemas.errors import ProctorError
from proctor.schemas.result import AgentReport


class AgentFailedError(ProctorError):
    """An agent failed midway; what it had done until then is not lost."""

    def __init__(self, message: str, report: AgentReport) -> None:
        super().__init__(message)
        self.report = report
        """As far as it came."""
