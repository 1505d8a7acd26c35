"""Evaluates a checkpoint: python tools/test.py CONFIG CHECKPOINT [--data-root DIR] [--show-dir DIR] [options]"""
import argparse
from copy import deepcopy
from pathlib import Path

from mmengine.config import ConfigDict
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmvit_backbones.checkpoints import check_file, locate, use_reader
from mmvit_backbones.engine.config import (UsageError, add_config_arguments, add_trust_argument, check_data, check_folder,
                                           load_config, remove_pretrained, run, set_launcher, work_dir)
from mmvit_backbones.engine.machine import keep_memory


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_arguments(parser)
    add_trust_argument(parser)
    parser.add_argument('checkpoint', help="checkpoint of a training run; for classifiers also the authors' file, mmvit://...")
    parser.add_argument(
        '--out', help='keep the predictions: a .pkl file for detectors and classifiers, a folder of label images for segmentors')
    parser.add_argument('--show-dir', help='folder for pictures of the predictions')
    parser.add_argument(
        '--tta', action='store_true',
        help='average over flips (detectors of boxes, classifiers), scales and flips (segmentors)')
    return parser.parse_args()


def use_tta(cfg):
    """Puts test-time augmentation into a config."""
    if 'tta_model' in cfg and 'tta_pipeline' in cfg:
        tta_model, pipeline = cfg.tta_model, cfg.tta_pipeline
    else:
        if any(part.get('mask_head') for part in (cfg.model, cfg.model.get('roi_head', {}))):
            raise UsageError('--tta: OpenMMLab has no test-time augmentation of instance masks. Evaluate without '
                             '--tta; detectors of boxes alone and segmentors have it.')
        pipeline = deepcopy(cfg.test_dataloader.dataset.pipeline)
        pack = dict(pipeline[-1])
        if cfg.default_scope == 'mmpretrain':
            tta_model = dict(type='AverageClsScoreTTA')
        else:
            tta_model = dict(
                type='DetTTAModel', tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))
            pack['meta_keys'] = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')
        pipeline[-1] = dict(
            type='TestTimeAug',
            transforms=[[dict(type='RandomFlip', prob=1.), dict(type='RandomFlip', prob=0.)], [pack]])
    cfg.model = ConfigDict(**tta_model, module=cfg.model)
    cfg.test_dataloader.dataset.pipeline = pipeline


def main():
    args = parse_args()
    keep_memory()
    use_reader(args.trust)
    cfg = load_config(args.config, args.data_root, args.cfg_options, args.backbone, pretrained=False)
    check_data(cfg, 'test_dataloader', 'test_evaluator')
    check_file(locate(args.checkpoint))
    remove_pretrained(cfg.model)  # the checkpoint holds all of the model
    set_launcher(cfg, args.launcher, args.local_rank)
    cfg.work_dir = work_dir(cfg, args.work_dir, args.backbone)
    cfg.load_from = args.checkpoint
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='mmvit_backbones.CheckModelHook', whole=True)]
    segmentor, classifier = (cfg.default_scope == scope for scope in ('mmseg', 'mmpretrain'))
    if args.show_dir:
        check_folder(args.show_dir, '--show-dir')
        cfg.default_hooks.visualization['enable' if classifier else 'draw'] = True
        cfg.visualizer.save_dir = args.show_dir
    if args.tta:
        use_tta(cfg)
    if args.out and segmentor:
        check_folder(args.out, '--out')
        cfg.test_evaluator.update(output_dir=args.out, keep_results=True)
    elif args.out and not args.out.endswith(('.pkl', '.pickle')):
        raise UsageError(f'--out of a {"classifier" if classifier else "detector"} is a .pkl file, but got {args.out}')
    elif args.out:
        check_folder(Path(args.out).parent, '--out')
    runner = Runner.from_cfg(cfg) if 'runner_type' not in cfg else RUNNERS.build(cfg)
    if args.out and not segmentor:
        if classifier:
            from mmengine.evaluator import DumpResults as Dump
        else:
            from mmdet.evaluation import DumpDetResults as Dump
        runner.test_evaluator.metrics.append(Dump(out_file_path=args.out))
    runner.test()


if __name__ == '__main__':
    run(main)
