"""How many threads a process takes, and what it does with memory."""
import os
import platform
import resource
import sys

import pytest
import torch
from conftest import call

from mmvit_backbones.engine.machine import available_cpus, cpu_model, limit_threads


@pytest.mark.parametrize('files, expected', [
    ({}, 8),
    ({'cpu.max': 'max 100000\n'}, 8),
    ({'cpu.max': '150000 100000\n'}, 2),
    ({'cpu.max': '1600000 100000\n'}, 8),
    ({'cpu.max': '1000 100000\n'}, 1),
    ({'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n'}, 8),
    ({'cpu/cpu.cfs_quota_us': '300000\n', 'cpu/cpu.cfs_period_us': '100000\n'}, 3),
])  # yapf: disable
def test_quotas_are_seen(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(8)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_cpus(tmp_path) == expected


@pytest.mark.parametrize('given, available, expected', [(None, 1, 1), (None, 64, 4), ('3', 1, 4)])
def test_threads(monkeypatch, given, available, expected):
    """OMP_NUM_THREADS is PyTorch's own business; more threads than it would take it does not get."""
    taken = [4]
    monkeypatch.setattr(torch, 'get_num_threads', lambda: taken[-1])
    monkeypatch.setattr(torch, 'set_num_threads', taken.append)
    monkeypatch.setattr('mmvit_backbones.engine.machine.available_cpus', lambda: available)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if given:
        monkeypatch.setenv('OMP_NUM_THREADS', given)
    limit_threads()
    assert taken[-1] == expected


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason="of glibc's allocator")
@pytest.mark.parametrize('variables, kept', [({}, True), ({'MALLOC_ARENA_MAX': '4'}, False)])
def test_memory_that_is_freed_is_kept(variables, kept):
    """Where it is kept, a block is made of pages that the process has, those of a larger one."""
    program = """if True:
        import resource, torch
        from mmvit_backbones.engine.machine import keep_memory
        torch.cuda.is_available = lambda: False
        keep_memory()
        torch.ones(1 << 25)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(1 << 24)
        print('faults', resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"""
    unset = [part for name in os.environ if name.startswith(('MALLOC_', 'GLIBC_')) for part in ('-u', name)]
    out = call('env', *unset, *(f'{name}={value}' for name, value in variables.items()), sys.executable, '-c', program)
    pages = (1 << 26) // resource.getpagesize()
    assert (int(out.split()[-1]) < pages / 10) == kept


@pytest.mark.skipif(not hasattr(os, 'sched_setaffinity'), reason='a call of Linux')
def test_tools_take_the_cpus_that_they_may_have():
    program = """if True:
        import os
        os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])
        import torch
        from mmvit_backbones.engine.config import run
        torch.set_num_threads(4)
        run(lambda: print('threads', torch.get_num_threads()))"""
    environment = {name: value for name, value in os.environ.items() if name != 'OMP_NUM_THREADS'}
    out = call('env', '-i', *(f'{name}={value}' for name, value in environment.items()), sys.executable, '-c', program)
    assert 'threads 1' in out


def test_cpu_model(tmp_path):
    (tmp_path / 'cpuinfo').write_text('processor : 0\nmodel name\t: Some  CPU @ 2 GHz\nmodel name\t: Other\n')
    assert cpu_model(tmp_path / 'cpuinfo') == 'Some CPU @ 2 GHz'
    (tmp_path / 'cpuinfo').write_text('processor : 0\n')
    assert cpu_model(tmp_path / 'cpuinfo') and cpu_model(tmp_path / 'none')
