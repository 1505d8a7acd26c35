"""Metadata of the package, and the folder .mim in which OpenMMLab's `mim` looks for configs and tools."""
import os
import re
import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent.resolve()
MIM = HERE / 'mmvit_backbones' / '.mim'


def requirements(name):
    lines = (HERE / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def add_mim_files():
    """Links configs, tools and the model index into the package where it is installed for editing, else copies."""
    editable = any(word in sys.argv for word in ('develop', 'editable_wheel', 'dist_info', 'egg_info'))
    MIM.mkdir(exist_ok=True)
    for name in ('configs', 'tools', 'model-index.yml'):
        source, target = HERE / name, MIM / name
        if not source.exists():
            continue
        if target.is_symlink() or target.is_file():
            target.unlink()
        elif target.exists():
            shutil.rmtree(target)
        if editable:
            target.symlink_to(os.path.relpath(source, MIM))
        else:
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


if __name__ == '__main__':
    add_mim_files()
    setup(
        name='mmvit_backbones',
        version=re.search(r"__version__ = '(.+)'", (HERE / 'mmvit_backbones' / '__init__.py').read_text())[1],
        description='Vision-transformer backbones for OpenMMLab detectors and segmentors',
        long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
        long_description_content_type='text/markdown',
        license='Apache-2.0',
        packages=find_packages(include=['mmvit_backbones', 'mmvit_backbones.*']),
        package_data={'mmvit_backbones': ['.mim/**/*', '.mim/*', 'results/papers/*.json', 'results/page.html']},
        include_package_data=True,
        python_requires='>=3.10',
        install_requires=requirements('runtime'),
        extras_require={name: requirements(name) for name in ('onedl', 'openmmlab', 'export', 'tests')})
