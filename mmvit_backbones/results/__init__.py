"""What the papers report, what their models cost, and what own runs reached, side by side."""
from .published import FAMILIES, METHODS, SCORES, Result, ResultsError, config_name, load_results, resolve
from .runs import Run, find_logs, find_runs, own_rows, read_run
from .settings import Recipe, read_recipe, training_length
from .speed import Speed, read_speed
from .table import Entry, compare, to_csv, to_markdown, to_rich
from .under import compare_under

__all__ = [
    'FAMILIES', 'METHODS', 'SCORES', 'Entry', 'Recipe', 'Result', 'ResultsError', 'Run', 'Speed', 'compare',
    'compare_under', 'config_name', 'find_logs', 'find_runs', 'load_results', 'own_rows', 'read_recipe', 'read_run',
    'read_speed', 'resolve', 'to_csv', 'to_markdown', 'to_rich', 'training_length'
]
