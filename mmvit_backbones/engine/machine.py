"""The CPUs of this machine, and how many of them a process may keep busy."""
import math
import os
import platform
from pathlib import Path

import torch

CGROUP = Path('/sys/fs/cgroup')


def available_cpus(cgroup: Path = CGROUP) -> int:
    """CPUs that this process may keep busy: those of its affinity, or fewer where its control group has a quota.

    Args:
        cgroup: Where Linux shows the group, of version 2 or 1. Containers see their own there.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    for files in (('cpu.max', ), ('cpu/cpu.cfs_quota_us', 'cpu/cpu.cfs_period_us')):
        if all((cgroup / file).is_file() for file in files):
            quota, period = ' '.join((cgroup / file).read_text() for file in files).split()
            if quota not in ('max', '-1'):
                cpus = min(cpus, math.ceil(int(quota) / int(period)))
    return max(cpus, 1)


def limit_threads() -> None:
    """Takes no more threads than CPUs that may be kept busy; PyTorch does not see quotas. OMP_NUM_THREADS goes before."""
    if 'OMP_NUM_THREADS' not in os.environ:
        torch.set_num_threads(min(torch.get_num_threads(), available_cpus()))


def cpu_model(cpuinfo: Path = Path('/proc/cpuinfo')) -> str:
    """What the CPU calls itself; its kind, such as 'arm64', where the system does not say."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith('model name'):
                return ' '.join(line.partition(':')[2].split())
    return platform.processor() or platform.machine()
