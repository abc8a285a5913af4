"""Status of a connector in Kafka Connect."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TaskStatus:
    """Status of one task: its state in Connect's terms (`RUNNING`, `FAILED`, …) and, if it failed, its stack trace."""

    task_id: int
    state: str
    trace: str


@dataclass(frozen=True)
class ConnectorStatus:
    """Status of a connector and its tasks."""

    name: str
    state: str
    trace: str
    tasks: tuple[TaskStatus, ...]

    @property
    def is_running(self) -> bool:
        """True if the connector and all its tasks, at least one, are running."""
        return self.state == "RUNNING" and bool(self.tasks) and all(task.state == "RUNNING" for task in self.tasks)

    @property
    def is_stopped(self) -> bool:
        """True if the connector is stopped, and so has no tasks that could write."""
        return self.state == "STOPPED" and not self.tasks

    @property
    def is_paused_or_stopped(self) -> bool:
        """True if the connector was paused or stopped, and waits to be resumed."""
        return self.state in {"PAUSED", "STOPPED"}

    @property
    def has_failed(self) -> bool:
        """True if the connector or one of its tasks has failed."""
        return "FAILED" in {self.state, *(task.state for task in self.tasks)}

    def __str__(self) -> str:
        tasks = ", ".join(f"task {task.task_id} {task.state}" for task in self.tasks) or "no tasks"
        traces = [summarize_trace(trace) for trace in (self.trace, *(task.trace for task in self.tasks)) if trace]
        return "; ".join([f"connector {self.name} is {self.state} ({tasks})", *traces])


def summarize_trace(trace: str) -> str:
    """Shorten a Java stack trace to its first line and its innermost cause."""
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    return "; ".join([*lines[:1], *causes[-1:]])
