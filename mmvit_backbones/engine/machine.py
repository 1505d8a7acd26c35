"""The CPUs and the memory of this machine, and how a process makes good use of them."""
import ctypes
import math
import os
import platform
from pathlib import Path

import torch

CGROUP = Path('/sys/fs/cgroup')
TRIM_THRESHOLD, MMAP_THRESHOLD, LARGEST = -1, -3, 2**31 - 1
"""Two parameters of ``mallopt`` of the C library, and the largest value that it takes."""


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


def keep_memory() -> None:
    """Keeps memory that is freed for what comes next, where maps are on CPUs and the C library is glibc; for inference.

    It gives blocks of more than 32 MB back to the system at once, and to fill fresh pages takes longer than many a layer's
    arithmetic. Training is not faster, and what it keeps for the backward pass leaves holes that large blocks do not fit.
    What the environment says of the allocator goes before.
    """
    told = any(name.startswith('MALLOC_') for name in os.environ) or 'glibc.malloc' in os.environ.get('GLIBC_TUNABLES', '')
    if platform.libc_ver()[0] == 'glibc' and not told and not torch.cuda.is_available():
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, LARGEST)


def cpu_model(cpuinfo: Path = Path('/proc/cpuinfo')) -> str:
    """What the CPU calls itself; its kind, such as 'arm64', where the system does not say."""
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith('model name'):
                return ' '.join(line.partition(':')[2].split())
    return platform.processor() or platform.machine()
