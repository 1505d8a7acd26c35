"""The comparison as one HTML file: sort, filter and plot in a browser, without a network."""
import json
from pathlib import Path
from typing import Sequence

from .plot import colour, shape, short_name
from .published import FAMILIES
from .table import TITLES, Entry, legend, to_records

TEMPLATE = Path(__file__).parent / 'page.html'


def to_html(entries: Sequence[Entry]) -> str:
    """A page that holds everything of `to_records`."""
    records = []
    for record, e in zip(to_records(entries), (e for e in entries for _ in e.runs or (None, ))):
        # JavaScript's numbers forget a last 0
        printed = {key: str(value) for key, value in record.items() if isinstance(value, float) and str(value).endswith('.0')}
        records.append(dict(record, label=short_name(e), printed=printed))
    data = dict(
        records=records, legend=legend(entries).replace('`', ''),
        methods={method: TITLES.get(method, method) for method in (e.result.method for e in entries)}, families=FAMILIES,
        colours={family: colour(family) for family in FAMILIES}, shapes={family: shape(family) for family in FAMILIES})
    # no text of the data may end the script that it stands in, or open a comment there
    return TEMPLATE.read_text(encoding='utf-8').replace('"DATA"', json.dumps(data).replace('<', '\\u003c'))
