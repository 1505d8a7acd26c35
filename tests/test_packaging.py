"""What a wheel and a source archive hold, and what an installed package says."""
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from conftest import ROOT

from mmvit_backbones.engine.config import run

SOURCES = ('setup.py', 'setup.cfg', 'MANIFEST.in', 'README.md', 'LICENSE', 'model-index.yml', 'requirements', 'configs',
           'tools', 'mmvit_backbones')


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file()}


@pytest.fixture
def tree(tmp_path):
    """A checkout that was installed for editing: with links in .mim."""
    folder = tmp_path / 'tree'
    folder.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('__pycache__', '.mim'))
        else:
            shutil.copy(ROOT / name, folder)
    mim = folder / 'mmvit_backbones' / '.mim'
    mim.mkdir()
    for name in ('configs', 'tools', 'model-index.yml'):
        (mim / name).symlink_to(f'../../{name}')
    return folder


def build_wheel(tree):
    """Builds a wheel in a tree; returns what pip printed and the wheel, opened."""
    log = subprocess.run(
        [sys.executable, '-m', 'pip', '--verbose', 'wheel', '--no-deps', '--no-build-isolation',
         '--wheel-dir', tree / 'dist', '.'],
        cwd=tree, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
    wheel, = (tree / 'dist').glob('*.whl')
    return log, zipfile.ZipFile(wheel)


def test_wheel_holds_what_the_tree_holds(tree, tmp_path, monkeypatch, capsys):
    package = tree / 'mmvit_backbones'
    extra = [folder / 'left_over.py' for folder in (package, package / 'layers', tree / 'configs')]
    extra.append(package / 'results' / 'papers' / 'left_over.json')
    for path in extra:
        path.write_text('')
    assert len([name for name in build_wheel(tree)[1].namelist() if 'left_over' in name]) == len(extra)
    for path in extra:
        path.unlink()
    expected = files_below(package) | {
        f'.mim/{name}' for name in ('model-index.yml', *(f'{folder}/{name}' for folder in ('configs', 'tools')
                                                         for name in files_below(tree / folder)))}
    log, wheel = build_wheel(tree)
    built = {name.removeprefix('mmvit_backbones/') for name in wheel.namelist() if '.dist-info/' not in name}
    assert built == expected
    assert 'Warning' not in log and 'absent from' not in log
    assert all((package / '.mim' / name).is_symlink() for name in ('configs', 'tools', 'model-index.yml'))

    # its tools know that they stand in no repository
    wheel.extractall(tmp_path / 'installed')
    tool = tmp_path / 'installed' / 'mmvit_backbones' / '.mim' / 'tools' / 'compare.py'
    monkeypatch.setattr(sys, 'argv', [str(tool), '--update-docs'])
    with pytest.raises(SystemExit) as end:
        run(runpy.run_path(str(tool))['main'])
    error = capsys.readouterr().err.strip()
    assert end.value.code == 2 and '\n' not in error
    assert "--update-docs writes the README and the tables of the repository" in error and str(tool.parents[1]) in error


def test_source_archive_builds_the_same_wheel(tree, tmp_path):
    _, wheel = build_wheel(tree)
    subprocess.run([sys.executable, 'setup.py', '--quiet', 'sdist', '--dist-dir', tmp_path], cwd=tree, check=True)
    archive, = tmp_path.glob('*.tar.gz')
    with tarfile.open(archive) as file:
        assert [name for name in file.getnames() if '/.mim' in name] == []
        file.extractall(tmp_path / 'unpacked')
    unpacked, = (tmp_path / 'unpacked').iterdir()
    assert set(build_wheel(unpacked)[1].namelist()) == set(wheel.namelist())
