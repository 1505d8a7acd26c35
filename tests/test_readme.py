"""The README's commands and promises are those of the tools."""
import importlib.util
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from conftest import ROOT, call

FENCED = re.compile(r'^```(\w*)\n(.*?)^```', flags=re.MULTILINE | re.DOTALL)
README = (ROOT / 'README.md').read_text()
PROSE = FENCED.sub('', README)
OPTIONS = (ROOT / 'mmvit_backbones' / 'engine' / 'config.py').read_text()


def commands(lines):
    """Those of the lines that are commands, in words."""
    found = [shlex.split(line, comments=True) for line in lines if re.match(r'(python|make|mim|tools/\S+) ', line)]
    return [words[words[0] == 'python':] for words in found]


BLOCKS = commands(line for language, block in FENCED.findall(README) if not language
                  for line in block.replace('\\\n', ' ').splitlines())
COMMANDS = BLOCKS + commands(re.findall(r'`([^`\n]+)`', PROSE))
MIM = [words for words in COMMANDS if words[0] == 'mim' and words[1] != 'install']


@pytest.mark.parametrize('words', [words for words in BLOCKS if words[0].startswith('tools/')], ids=' '.join)
def test_tools_take_the_arguments(words, monkeypatch):
    tool, arguments = ROOT / words[0], words[1:]
    assert tool.is_file()
    assert all((ROOT / word).is_file() for word in words if word.startswith('configs/'))
    if tool.suffix == '.sh':
        tool, arguments = tool.with_name(tool.stem.split('_')[1] + '.py'), [arguments[0], *arguments[2:]]  # less the GPUs
    spec = importlib.util.spec_from_file_location('tool', tool)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, 'argv', [str(tool), *arguments])
    module.parse_args()


@pytest.mark.parametrize('words', [words for words in COMMANDS if words[0].startswith('tools/')], ids=' '.join)
def test_tools_have_the_flags(words):
    source = (ROOT / words[0]).read_text() + OPTIONS
    assert words[0].endswith('.sh') or all(f"'{word}'" in source for word in words if word.startswith('--'))


def test_flags_in_the_text_exist():
    sources = OPTIONS + ''.join(path.read_text() for path in (ROOT / 'tools').glob('*.py'))
    flags = {word for span in re.findall(r'`(--[^`\n]+)`', PROSE) for word in span.split() if word.startswith('--')}
    assert len(flags) > 10
    assert [flag for flag in flags if f"'{flag}'" not in sources] == []


@pytest.mark.parametrize('words', [words for words in COMMANDS if words[0] == 'make'], ids=' '.join)
def test_targets_exist(words):
    assert re.search(rf'^{words[1]}:', (ROOT / 'Makefile').read_text(), flags=re.MULTILINE)


def test_what_mim_is_to_find_is_there():
    mmdet = pytest.importorskip('mmdet')
    scripts = {path.stem for path in Path(mmdet.__path__[0], '.mim', 'tools').rglob('*.py')}
    assert {words[3] for words in MIM if words[1] == 'run'} | {'analyze_logs', 'browse_dataset', 'print_config'} <= scripts
    assert (ROOT / 'model-index.yml').is_file()


@pytest.mark.skipif(not shutil.which('mim', path=str(Path(sys.executable).parent)), reason='mim is not installed')
def test_mim():
    mim = Path(sys.executable).with_name('mim')
    assert 'SwinTransformer' in call(mim, 'run', 'onedl-mmdetection', 'print_config', 'configs/fasterrcnn_swin_t_coco.py')
    assert 'maskrcnn_swin_t_coco' in call(mim, 'search', 'mmvit_backbones')
