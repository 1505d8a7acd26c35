"""What the papers report, what their models cost, and what own runs reached, side by side."""
from .published import FAMILIES, METHODS, SCORES, Result, ResultsError, config_name, load_results, resolve
from .runs import Run, find_logs, find_runs, read_run, training_length
from .speed import Speed, read_speed
from .table import Entry, compare, to_csv, to_markdown, to_rich

__all__ = [
    'FAMILIES', 'METHODS', 'SCORES', 'Entry', 'Result', 'ResultsError', 'Run', 'Speed', 'compare', 'config_name',
    'find_logs', 'find_runs', 'load_results', 'read_run', 'read_speed', 'resolve', 'to_csv', 'to_markdown', 'to_rich',
    'training_length'
]
