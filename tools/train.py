"""Trains a detector or a segmentor: python tools/train.py CONFIG [--data-root DIR] [options]

The flags are mmdet's, with --bf16, --data-root, --no-pretrained, --overwrite and --trust added. Several GPUs:
tools/dist_train.sh, or any launcher of torch, Slurm or MPI.
"""
import argparse

import torch
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmvit_backbones.checkpoints import use_reader
from mmvit_backbones.engine import CheckModelHook
from mmvit_backbones.engine.config import (UsageError, add_config_arguments, check_data, code_state, load_config,
                                           remove_pretrained, run, set_launcher, work_dir)
from mmvit_backbones.engine.saving import use_checkpoint_hook
from mmvit_backbones.engine.work_dir import AUTO, open_work_dir


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_config_arguments(parser)
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument('--amp', action='store_true', help='mixed precision, float16 with loss scaling')
    precision.add_argument('--bf16', action='store_true', help='mixed precision, bfloat16')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help="scale the learning rate to the run's batch size, linearly")
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        '--resume', nargs='?', const=AUTO, metavar='CHECKPOINT',
        help='go on with a run: from this checkpoint, or from the newest whole one of the work dir')
    start.add_argument(
        '--overwrite', action='store_true',
        help='start anew in a work dir that holds a run; what that has left is moved to its folder former')
    parser.add_argument('--no-pretrained', action='store_true', help='train from random weights')
    parser.add_argument(
        '--trust', action='store_true',
        help='read checkpoints that hold more than plain data, which runs code from them: only if you trust where they come from')
    return parser.parse_args()


def main():
    args = parse_args()
    use_reader(args.trust)
    cfg = load_config(args.config, args.data_root, args.cfg_options, args.backbone, not args.no_pretrained)
    set_launcher(cfg, args.launcher, args.local_rank)
    cfg.work_dir = work_dir(cfg, args.work_dir, args.backbone)
    cfg.code = code_state()
    check_data(cfg, 'train_dataloader', *(['val_dataloader', 'val_evaluator'] if cfg.get('val_cfg') else []))
    if args.no_pretrained:
        remove_pretrained(cfg)
    if args.amp or args.bf16:
        if not torch.cuda.is_available():
            raise UsageError('--amp and --bf16 need a GPU: OpenMMLab trains in mixed precision on accelerators alone')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.loss_scale = 'dynamic'
        if args.bf16:  # has float32's range, so its losses need no scaling
            cfg.optim_wrapper.update(dtype='bfloat16', loss_scale=dict(enabled=False))
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise UsageError(f'{args.config} does not say which batch size its learning rate is for. Add '
                             'auto_scale_lr=dict(base_batch_size=16), if 16 is right.')
        cfg.auto_scale_lr.enable = True
    resume = args.resume
    if cfg.get('resume') and resume is None and not args.overwrite:  # a config may say so too
        resume = cfg.get('load_from') or AUTO
    use_checkpoint_hook(cfg)
    with open_work_dir(cfg, resume, args.overwrite, args.trust) as start:
        runner = Runner.from_cfg(cfg) if 'runner_type' not in cfg else RUNNERS.build(cfg)
        runner.register_hook(start)
        runner.register_hook(CheckModelHook(whole=resume is not None))
        runner.train()


if __name__ == '__main__':
    run(main)
