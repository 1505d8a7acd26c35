"""Metadata of the package, and the folder .mim in which OpenMMLab's `mim` looks for configs and tools."""
import os
import re
import shutil
import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent.resolve()
MIM = HERE / 'mmvit_backbones' / '.mim'
MIM_FILES = 'configs', 'tools', 'model-index.yml'


def requirements(name):
    lines = (HERE / 'requirements' / f'{name}.txt').read_text().splitlines()
    return [line for line in lines if line and not line.startswith('#')]


def link_mim_files():
    """Links configs, tools and the model index into the package, for an installation for editing."""
    MIM.mkdir(exist_ok=True)
    for name in MIM_FILES:
        target = MIM / name
        if target.is_symlink() or target.is_file():
            target.unlink()
        elif target.exists():
            shutil.rmtree(target)
        target.symlink_to(os.path.relpath(HERE / name, MIM))


class BuildPackage(build_py):
    """Builds the package as the tree is now, with copies of configs, tools and the model index."""

    def run(self):
        if self.editable_mode:
            super().run()
            return
        package = Path(self.build_lib) / 'mmvit_backbones'
        if package.exists():  # of an earlier build, with files that the tree may have no more
            shutil.rmtree(package)
        super().run()
        for name in MIM_FILES:
            source, target = HERE / name, package / '.mim' / name
            target.parent.mkdir(exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy(source, target)


if __name__ == '__main__':
    if {'develop', 'editable_wheel'} & set(sys.argv):
        link_mim_files()
    setup(
        name='mmvit_backbones',
        version=re.search(r"__version__ = '(.+)'", (HERE / 'mmvit_backbones' / '__init__.py').read_text())[1],
        description='Vision-transformer backbones for OpenMMLab detectors and segmentors',
        long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
        long_description_content_type='text/markdown',
        license='Apache-2.0',
        packages=find_packages(include=['mmvit_backbones', 'mmvit_backbones.*']),
        package_data={'mmvit_backbones': ['results/papers/*.json', 'results/page.html']},
        include_package_data=False,
        cmdclass=dict(build_py=BuildPackage),
        python_requires='>=3.10',
        install_requires=requirements('runtime'),
        extras_require={name: requirements(name) for name in ('onedl', 'openmmlab', 'export', 'tests')})
