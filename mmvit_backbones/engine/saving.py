"""Checkpoints of a run, saved so that it can be stopped at any moment."""
import hashlib
import io
from collections import deque
from pathlib import Path
from typing import Dict, List, Optional, Union

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process, master_only
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import CheckpointLoader, Runner

from ..files import write_whole
from ..registry import HOOKS


class WholeFileBackend(LocalBackend):
    """mmengine's local files, but a file that is written has its name only once all of it is on the disk."""

    def put(self, obj: bytes, filepath: Union[str, Path]) -> None:
        write_whole(Path(filepath), obj)


register_backend('mmvit_backbones.whole', WholeFileBackend)


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """mmengine's hook, with all of its arguments, for runs that are killed.

    A checkpoint has its name only once it is whole, and one that it replaces (``max_keep_ckpts``, ``save_best``) goes
    only after that: the disk must have room for one more. The same holds for ``last_checkpoint``. ``tools/train.py``
    puts this hook in the place of mmengine's.
    """

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        if isinstance(getattr(self.file_backend, 'client', self.file_backend), LocalBackend):
            self.file_backend = WholeFileBackend()
            self.file_client_args, self.backend_args = None, dict(backend='mmvit_backbones.whole')
        # a run that goes on in a copy of its folder must not remove the best checkpoint from where it was copied
        self._best = {key: path and self.file_backend.join_path(self.out_dir, Path(path).name)
                      for key, path in self._best.items()}
        if self.last_ckpt is None and 'last_ckpt' in runner.message_hub.runtime_info:
            # mmengine saves it again with the best score of an evaluation that follows; that can be the first thing now
            path = self.file_backend.join_path(self.out_dir, Path(runner.message_hub.get_info('last_ckpt')).name)
            self.last_ckpt = path if self.file_backend.isfile(path) else None

    @property
    def _best(self) -> Dict[Optional[str], Optional[str]]:
        """{metric: path of its best checkpoint}; where there is one metric, mmengine keeps its path without its name."""
        if not self.save_best:
            return {}
        return dict(self.best_ckpt_path_dict) if len(self.key_indicators) > 1 else {None: self.best_ckpt_path}

    @_best.setter
    def _best(self, paths: Dict[Optional[str], Optional[str]]) -> None:
        if None in paths:
            self.best_ckpt_path = paths[None]
        elif paths:
            self.best_ckpt_path_dict = paths

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        former = self._best
        self._best = dict.fromkeys(former)  # so that mmengine has none to remove before it saves the new one
        super()._save_best_checkpoint(runner, metrics)
        new = self._best
        self._best = {key: new[key] or path for key, path in former.items()}
        self._remove([path for key, path in former.items() if path and new[key] not in (None, path)])

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated = []
        if self.max_keep_ckpts > 0:
            steps = [other for other in self.keep_ckpt_ids if other != step] + [step]
            outdated = steps[:-self.max_keep_ckpts]
            self.keep_ckpt_ids = deque(steps, self.max_keep_ckpts)
            # with the outdated ones: a run that is killed before they are removed does it when it goes on
            runner.message_hub.update_info('keep_ckpt_ids', steps)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args)
        if is_main_process():
            write_whole(Path(runner.work_dir, 'last_checkpoint'), self.last_ckpt.encode())
        self._remove([self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(other)) for other in outdated])

    @master_only
    def _remove(self, paths: List[str]) -> None:
        for path in paths:
            if self.file_backend.isfile(path):
                self.file_backend.remove(path)
            elif self.file_backend.isdir(path):  # as DeepSpeed saves them
                self.file_backend.rmtree(path)

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        if not isinstance(self.file_backend, WholeFileBackend) or not Path(ckpt_path).is_file():
            return super()._publish_model(runner, ckpt_path)
        checkpoint = CheckpointLoader.load_checkpoint(ckpt_path, map_location='cpu')
        content = io.BytesIO()
        torch.save({key: checkpoint[key] for key in checkpoint if key in self.published_keys}, content)
        digest = hashlib.sha256(content.getvalue()).hexdigest()
        path = Path(ckpt_path)
        path = path.with_name(f'{path.stem}-{digest[:8]}{path.suffix}')
        write_whole(path, content.getvalue())
        runner.logger.info(f'{ckpt_path} is published as {path}, with its keys {", ".join(self.published_keys)}')


def checkpoint_hooks(cfg: Config) -> List[dict]:
    """The settings of a config's checkpoint hooks, its default hook's first."""
    hooks = [(cfg.get('default_hooks') or {}).get('checkpoint'), *(cfg.get('custom_hooks') or [])]
    return [hook for hook in hooks if isinstance(hook, dict) and _name(hook).endswith('CheckpointHook')]


def use_checkpoint_hook(cfg: Config) -> None:
    """Puts this package's `CheckpointHook` in the place of mmengine's, in place; other types of hooks stay."""
    cfg.default_hooks = cfg.get('default_hooks') or {}
    if 'checkpoint' not in cfg.default_hooks:
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=1)  # as mmengine would add it
    for hook in checkpoint_hooks(cfg):
        if hook['type'] is MMEngineCheckpointHook or hook['type'] in ('CheckpointHook', 'mmengine.CheckpointHook'):
            hook['type'] = 'mmvit_backbones.CheckpointHook'


def _name(hook: dict) -> str:
    return getattr(hook['type'], '__name__', hook['type'])
