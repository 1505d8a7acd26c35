"""A run of a second through what `tools/train.py` does about work directories and checkpoints."""
import os
import re
import resource
import signal
import sys

import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmvit_backbones.checkpoints import use_reader
from mmvit_backbones.engine import CheckModelHook
from mmvit_backbones.engine.config import run, set_launcher
from mmvit_backbones.engine.saving import use_checkpoint_hook
from mmvit_backbones.engine.work_dir import open_work_dir


@DATASETS.register_module()
class Points(Dataset):
    metainfo = dict(kind='points')

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(inputs=torch.full((64, ), index / 4))


@MODELS.register_module()
class Tiny(BaseModel):
    """Large enough for a checkpoint of 60 kB, which is more than its logs."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 64)

    def forward(self, inputs, mode='loss'):
        found = self.layer(torch.stack(list(inputs)))
        return dict(loss=found.square().mean()) if mode == 'loss' else [found]


@METRICS.register_module()
class Rising(BaseMetric):
    """A score that is better each time."""

    def process(self, data_batch, data_samples):
        self.results.append(-data_samples[0].square().mean().item())

    def compute_metrics(self, results):
        return dict(score=sum(results))


@HOOKS.register_module()
class Witness(Hook):
    """Notes in a file what has been begun, and kills or stops the process where a test wants it, such as at 'val 2'."""
    priority = 'HIGHEST'

    def __init__(self, path, die=None, stop=None, rank=0):
        self.path, self.signals, self.rank = path, {die: signal.SIGKILL, stop: signal.SIGSTOP}, rank

    def note(self, event):
        if get_rank() == self.rank:
            with open(self.path, 'a') as file:
                file.write(event + '\n')
            if event in self.signals:
                os.kill(os.getpid(), self.signals[event])

    def before_train_epoch(self, runner):
        self.note(f'train {runner.epoch + 1}')

    def before_val_epoch(self, runner):
        self.note(f'val {runner.epoch}')


def config(work_dir, epochs=3, workers=0, launcher='none', die=None, stop=None, rank=0, **checkpoint):
    loader = dict(dataset=dict(type='Points'), batch_size=2, num_workers=workers, persistent_workers=workers > 0)
    return Config(dict(
        work_dir=str(work_dir), launcher=launcher, model=dict(type='Tiny'),
        train_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=True)),
        val_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=1), val_cfg=dict(),
        val_evaluator=dict(type='Rising'), optim_wrapper=dict(optimizer=dict(type='AdamW', lr=.1)),
        param_scheduler=dict(type='LinearLR', start_factor=.1, end=6, by_epoch=False), randomness=dict(seed=0),
        default_hooks=dict(checkpoint={
            **dict(type='CheckpointHook', interval=1, save_best='score', rule='greater', max_keep_ckpts=1), **checkpoint}),
        custom_hooks=[dict(type='Witness', path=f'{work_dir}.seen', die=die, stop=stop, rank=rank)]))


def kill_at(step, folder):
    """Kills this process before the ``step``-th time that it writes, renames or removes a checkpoint in a folder."""
    count = 0

    def look(event, args):
        nonlocal count
        if (event in ('os.rename', 'os.remove') or event == 'open' and args[1] == 'wb') and re.search(rf'^{folder}.*(\.pth|last_checkpoint)', str(args[0])):
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def train(cfg, log, resume=None, overwrite=False, step=None, file_size=None, killed=False, environment=()):
    """Trains in this process, which must have been made for it.

    Args:
        cfg: A `config`.
        log: File for what is printed.
        resume, overwrite: As for `open_work_dir`.
        step: As for `kill_at`.
        file_size: No file may become larger; the kernel kills the process at this size, or refuses to write.
        killed: Which of the two.
        environment: Variables to set.
    """
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment)
    torch.set_num_threads(1)
    sys.argv = ['train.py']
    use_reader()
    if step is not None:
        kill_at(step, cfg.work_dir)
    if file_size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if killed else signal.SIG_IGN)

    def main():
        set_launcher(cfg, cfg.launcher, int(os.environ.get('RANK', 0)))
        use_checkpoint_hook(cfg)
        with open_work_dir(cfg, resume, overwrite) as start:
            runner = Runner.from_cfg(cfg)
            runner.register_hook(start)
            runner.register_hook(CheckModelHook(whole=resume is not None))
            runner.train()

    run(main)
