"""Writes a model for other programs: python tools/export.py NAME|CONFIG [CHECKPOINT] --size HxW --out FILE [options]

NAME is a backbone, <family>/<variant>; CONFIG a detector, segmentor or classifier. A segmentor gives the logits of its
classes, a classifier its scores; a detector what its neck and its dense head (RPN, or the head of a one-stage detector)
give, before boxes are decoded. The input is one normalised image, as the config's data_preprocessor makes it.

The file is written only if it gives what the model gives, up to rounding; the largest difference is printed.
"""
import argparse
import copy
import io
from pathlib import Path

import torch
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner.checkpoint import load_checkpoint as load_whole
from torch import nn
from torch.torch_version import TorchVersion

from mmvit_backbones.checkpoints import check_model, load_checkpoint, locate, read_checkpoint, use_reader
from mmvit_backbones.engine.config import (UsageError, add_backbone_argument, add_trust_argument, image_size,
                                           load_config, remove_pretrained, run)
from mmvit_backbones.engine.recipe import find_backbone
from mmvit_backbones.files import replacing

OPSET = 18
TOLERANCE = 1e-2
"""Largest difference from the model, as a share of the largest value of an output."""


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', metavar='NAME|CONFIG', help='backbone, or config file')
    parser.add_argument('checkpoint', nargs='?', help='file, URL or mmvit://<family>/<variant>; random weights without')
    add_backbone_argument(parser)
    parser.add_argument('--backbone-only', action='store_true', help='export the backbone of a CONFIG')
    parser.add_argument('--format', choices=['onnx', 'torch'], default='onnx', help='torch: torch.export [%(default)s]')
    parser.add_argument('--size', type=image_size, required=True, help='HEIGHTxWIDTH of the image in pixels')
    parser.add_argument('--dynamic', action='store_true', help='take other heights and widths too, where the model can')
    parser.add_argument('--out', required=True, type=Path, help='file to write')
    add_trust_argument(parser)
    return parser.parse_args()


class Export(nn.Module):
    """A model from an image to a flat tuple of tensors.

    Args:
        model: A backbone, segmentor, classifier, or detector of mmdet.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.head = next((getattr(model, name) for name in ('rpn_head', 'bbox_head') if hasattr(model, name)), None)

    def forward(self, images):
        """(1, C, H, W) -> tensors"""
        if self.head is None:
            return flat(self.model(images))
        levels = self.model.extract_feat(images)
        return flat((levels, self.head(levels)))


def flat(outputs):
    """The tensors in nested tuples and lists, in order."""
    if isinstance(outputs, (tuple, list)):
        return tuple(tensor for item in outputs for tensor in flat(item))
    return (outputs, )


def build(args):
    """The model, with its weights, in eval mode.

    Raises:
        UsageError: There is no such name, or the detector has no dense head or no backbone.
        CheckpointError: The checkpoint does not fill the model.
    """
    if not args.model.endswith('.py'):
        cfg = find_backbone(args.model)
        if args.backbone:
            raise UsageError(f'--backbone {args.backbone} takes the place of one in a CONFIG, but {args.model} is a backbone')
    else:
        cfg = load_config(args.model, backbone=args.backbone, pretrained=False)
        remove_pretrained(cfg.model)
        init_default_scope(cfg.default_scope)
        if args.backbone_only and not isinstance(cfg.model.get('backbone'), dict):
            raise UsageError(f'--backbone-only: the model of {args.model} has no backbone of its own')
        cfg = cfg.model.backbone if args.backbone_only else cfg.model
    model = MODELS.build(copy.deepcopy(cfg))  # detectors change what they are built from
    whole = hasattr(model, 'backbone')
    if whole and hasattr(model, 'encoder') and hasattr(model, 'decoder'):
        raise UsageError(f'{args.model} is a {type(model).__name__}, whose queries go through a transformer: only its '
                         'backbone can be exported, with --backbone-only')
    if args.checkpoint and whole:
        path = str(locate(args.checkpoint))
        check_model(model, read_checkpoint(path, args.trust), whole=True, source=path)
        load_whole(model, path, map_location='cpu')
    elif args.checkpoint:
        load_checkpoint(model, args.checkpoint)
    else:
        model.init_weights()
        print('no CHECKPOINT: the weights are random')
    return Export(model).eval()


def export(model, image, args):
    """The file's content, and a function from an image to its outputs.

    Raises:
        UsageError: With --dynamic, the graph is that of one size.
    """
    shapes = None
    if args.dynamic:
        shapes = ({2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}, )
    try:
        program = torch.export.export(model, (image, ), dynamic_shapes=shapes)
    except (RuntimeError, TypeError, ValueError) as error:  # PyTorch has many for a graph that depends on the size
        if not args.dynamic:
            raise
        raise UsageError(f'--dynamic: the graph of this model depends on the size of the image ({str(error).splitlines()[0]}). '
                         'Export one file for each size, without --dynamic') from error
    inputs = next(node.meta['val'].shape for node in program.graph.nodes if node.name == program.graph_signature.user_inputs[0])
    if args.dynamic and any(isinstance(side, int) for side in inputs[2:]):
        raise UsageError(f'--dynamic: the graph of this model is fixed to {tuple(inputs[2:])}. Export one file for each '
                         'size, without --dynamic')
    file = io.BytesIO()
    if args.format == 'torch':
        torch.export.save(program, file)
        content = file.getvalue()
        return content, torch.export.load(io.BytesIO(content)).module()
    import onnxruntime
    names = [f'output{i}' for i in range(len(model(image)))]
    torch.onnx.export(
        program, (image, ), dynamo=True, opset_version=OPSET, input_names=['images'], output_names=names,
        verbose=False).save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=['CPUExecutionProvider'])
    return file.getvalue(), lambda image: map(torch.from_numpy, session.run(None, {'images': image.numpy()}))


def difference(model, exported, image):
    """The largest difference between a model's outputs and those of its file.

    Raises:
        UsageError: It is more than rounding.
    """
    largest = 0.
    for i, (expected, found) in enumerate(zip(model(image), exported(image))):
        if found.shape != expected.shape:
            raise UsageError(f'Nothing was written: for an image {tuple(image.shape)}, output {i} is {tuple(found.shape)}, '
                             f'not {tuple(expected.shape)}')
        largest = max(largest, (found - expected).abs().max().item())
        if not largest <= TOLERANCE * expected.abs().max():
            raise UsageError(f'Nothing was written: output {i} differs by {largest:.3g} from the model\'s, whose largest '
                             f'value is {expected.abs().max():.3g}')
    return largest


def main():
    args = parse_args()
    if torch.__version__ < TorchVersion('2.5'):
        raise UsageError(f'Export needs PyTorch 2.5 or newer, but this is {torch.__version__}')
    if args.format == 'onnx':
        try:
            import onnxruntime  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            raise UsageError(f'{error}. Install what ONNX needs: pip install -e .[export]') from error
    use_reader(args.trust)
    model = build(args)
    channels = getattr(getattr(model.model, 'backbone', model.model), 'in_channels', 3)  # OpenMMLab's own take RGB
    sizes = [args.size] + ([(args.size[0] + 32, args.size[1] + 64), (args.size[0] + 5, args.size[1] + 37)] if args.dynamic else [])
    with torch.no_grad():
        content, exported = export(model, torch.randn(1, channels, *args.size), args)
        largest = [difference(model, exported, torch.randn(1, channels, *size)) for size in sizes]
    with replacing(args.out) as part:
        part.write_bytes(content)
    print(f'{args.out}: differs from the model by {max(largest):.3g} at most, at ' + ', '.join(f'{h}x{w}' for h, w in sizes))


if __name__ == '__main__':
    run(main)
