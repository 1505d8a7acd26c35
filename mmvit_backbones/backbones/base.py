"""The contract of every backbone in this package, written once."""
import inspect
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Dict, List, Optional, Sequence, Set, Tuple, Union

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from ..checkpoints import init_weights, load_checkpoint, load_state_dict_hook, name_classifier
from ..layers import drop_path_rates

MIN_SIZE = 32
ELSEWHERE = {
    'convert_weights': 'leave it out: files of any layout are recognised',
    'img_size': 'leave it out: images may have any size',
    'in_chans': 'write in_channels',
    'num_classes': 'leave it out: backbones have no classifier',
    'pretrain_img_size': 'leave it out: images may have any size, and position tables are resized when they are loaded',
    'pretrained': "write init_cfg=dict(type='Pretrained', checkpoint=...)",
    'use_checkpoint': 'write with_cp',
}
"""{argument of backbones elsewhere: what to do here}"""
ARCH_KEYS = dict(embed_dim='dims', embed_dims='dims', num_layers='depths', window_size='window')
"""{argument of backbones elsewhere: key of ``arch``}"""


def to_nchw(x: Tensor) -> Tensor:
    """A map (B, H, W, C) as a level (B, C, H, W), contiguous."""
    return x.permute(0, 3, 1, 2).contiguous()


class Stage(nn.Module):
    """A step down in resolution, then blocks; (B, H, W, C) -> (B, H', W', C').

    Args:
        blocks: Modules from map to map.
        downsample: The step down; None where the stem has made it (first stage).
        with_cp: Recompute the blocks' activations in the backward pass instead of keeping them.
    """

    def __init__(self, blocks: Sequence[nn.Module], downsample: Optional[nn.Module] = None, with_cp: bool = False):
        super().__init__()
        self.downsample = nn.Identity() if downsample is None else downsample
        self.blocks = nn.ModuleList(blocks)
        self.with_cp = with_cp

    def run(self, block: nn.Module, *args: Tensor):
        """One block, checkpointed where that was asked for; batch norms count the batch once all the same."""
        if not (self.with_cp and torch.is_grad_enabled()):
            return block(*args)
        statistics = {
            key: buffer
            for name, module in block.named_modules() if isinstance(module, _BatchNorm) and module.training
            for key, buffer in module.named_buffers(name)
        }
        if not statistics:
            return checkpoint(block, *args, use_reentrant=False)

        def with_statistics(before: Dict[str, Tensor], *args: Tensor) -> Tuple[Tensor, Dict[str, Tensor]]:
            after = {key: value.clone() for key, value in before.items()}
            return functional_call(block, after, args), after

        before = {key: value.clone() for key, value in statistics.items()}  # the recomputation starts from these too
        out, after = checkpoint(with_statistics, before, *args, use_reentrant=False)
        for key, buffer in statistics.items():
            buffer.copy_(after[key])
        return out

    def context(self, x: Tensor) -> Sequence[tuple]:
        """What the blocks get besides the map ``x``, laid out once for all: they take these tuples in turns."""
        return [()]

    def forward(self, x: Tensor) -> Tensor:
        x = self.downsample(x)
        context = self.context(x)
        for j, block in enumerate(self.blocks):
            x = self.run(block, x, *context[j % len(context)])
        return x


class Backbone(BaseModule):
    """A four-level vision transformer for dense prediction.

    A family fills in ``family``, ``archs``, ``rename`` and the three ``build_*`` methods, and lists the arguments of its
    own in ``options``; they join the shared ones in its signature.

    Args:
        arch: Name of a published variant, or a dict with the keys of one; ``archs`` holds them, so that
            ``dict(SwinTransformer.archs['tiny'], window=12)`` is 'tiny', but with windows of 12.
        in_channels: Channels of the image. The stem weights of an RGB checkpoint are adapted when they are loaded.
        out_indices: Levels to return, of 0, 1, 2, 3 (strides 4, 8, 16, 32). Stages above the highest are not built.
        out_norm: Normalise the returned levels as the authors' dense code does. False returns the bare stage outputs.
        out_type: 'featmap' returns the levels. 'pooled' returns ``(features (B, C), )``, what the authors' classifier reads,
            for the heads of mmpretrain; the trunk is then the classifier's where the dense model has another.
        drop_path_rate: Stochastic depth of the last block; it grows linearly from 0 at the first.
        frozen_stages: -1 trains all, 0 freezes the stem, k the stem and the first k stages. Frozen parameters do not
            require gradients from construction on, and frozen parts stay in eval mode.
        norm_eval: Keep batch-norm layers in eval mode.
        with_cp: Trade compute for memory: recompute each block in the backward pass (non-reentrant checkpointing).
        init_cfg: ``dict(type='Pretrained', checkpoint=...)`` loads the authors' file, one of this package, a
            detector's, a URL or ``mmvit://<family>/<variant>``, and accounts for every key. None keeps random weights.

    Raises:
        TypeError: There is no argument of a name; the message says what to write instead.
        ValueError: The value of an argument is not one of those described.
    """

    family: str
    """Name of the family in `list_backbones`."""
    archs: Dict[str, dict]
    """{variant: settings}, all with the same keys, ``dims`` and ``depths`` (a value a stage) among them."""
    options: Dict[str, object] = {}
    """{argument of the family's own: default}; set as attributes before anything is built."""
    norms: Optional[str] = 'out'
    """Where ``norm{i}`` stand: 'out', on the returned levels only; 'trunk', the next stage reads the normed map too;
    None, the authors have none."""
    pooled_norms: Optional[str] = 'last'
    """The same with ``out_type='pooled'``: 'last', a ``norm`` on the last map alone, before it is pooled; 'trunk' or None."""
    pooled_dim: Optional[int] = None
    """Channels of what ``out_type='pooled'`` returns, where they are not the last map's."""
    parallel: bool = False
    """Whether levels are branches that every stage works on: each needs all stages, and the last one returns the tuple
    of those in ``out_indices``."""
    new_keys: Sequence[str] = (r'(norm|resample)\d\.', )
    """What a checkpoint may lack because it is new in dense models; regular expressions at the start of a key."""
    pooled_keys: Sequence[str] = (r'norm\.', )
    """What only models with ``out_type='pooled'`` have, and others leave out; regular expressions at the start of a key."""
    head_type: str = 'mmpretrain.LinearClsHead'
    """The head of the authors' classifier, which reads what ``out_type='pooled'`` returns."""
    head_keys: Dict[str, str] = {'head.': 'head.fc.'}
    """{how the authors' keys of the classifier's head begin: how those of ``head_type`` do}"""
    no_decay: Sequence[str] = ()
    """Substrings of the names of parameters that the authors exempt from weight decay, besides norms and biases."""
    rename: Sequence[tuple] = ()
    """The authors' keys to ours: (regular expression, replacement as for `re.sub`, or None to drop the key), applied
    one after the other."""
    other_layouts: Dict[str, Sequence[tuple]] = {}
    """{whose: the same for their keys}; "OpenMMLab's" are unpacked first (`checkpoints.openmmlab`)."""
    in_proj: Tuple[str, str] = ('q', 'kv')
    """What OpenMMLab's ``in_proj`` of attention is here, a letter for each of queries, keys and values."""
    refused: Dict[str, Tuple[str, str]] = {}
    """{published variant that has no model here: (regular expression of a key that only its file has, the reason)}"""

    def __init_subclass__(cls, **kwargs) -> None:
        """Gives a family its full signature and docstring: what is its own, then what is shared."""
        super().__init_subclass__(**kwargs)
        if cls.__init__ is not Backbone.__init__:
            cls.__signature__ = None  # that of its __init__
            return
        _, arch, *shared, _ = inspect.signature(Backbone.__init__).parameters.values()
        own = [inspect.Parameter(name, arch.KEYWORD_ONLY, default=default) for name, default in cls.options.items()]
        cls.__signature__ = inspect.Signature([arch.replace(default=arch.empty), *own, *shared])
        if cls.__doc__:  # python -OO leaves none
            shared_doc = inspect.cleandoc(Backbone.__doc__)
            cls.__doc__ = f'{inspect.cleandoc(cls.__doc__)}\n\nOf every backbone:\n\n{shared_doc[shared_doc.index("Args:"):]}'

    def __init__(self,
                 arch: Union[str, dict] = None,  # required: a call without it comes as far as the errors below
                 *,
                 in_channels: int = 3,
                 out_indices: Sequence[int] = (0, 1, 2, 3),
                 out_norm: bool = True,
                 out_type: str = 'featmap',
                 drop_path_rate: float = 0.,
                 frozen_stages: int = -1,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 init_cfg: Union[dict, List[dict], None] = None,
                 **options) -> None:
        super().__init__(init_cfg)
        for name in options:
            if name not in self.options:
                raise TypeError(f'{type(self).__name__} got an unexpected keyword argument {name!r}: {self._advice(name)}')
        for name, default in self.options.items():
            setattr(self, name, options.get(name, default))
        self.arch = arch if isinstance(arch, str) else 'custom'
        self.spec = self._resolve(arch)
        stages = len(self.spec['depths'])
        self._check(isinstance(out_indices, Sequence), 'out_indices to be a sequence of levels, such as (3, )', out_indices)
        self._check(out_type in ('featmap', 'pooled'), "out_type to be 'featmap' or 'pooled'", out_type)
        self.out_type = out_type
        if out_type == 'pooled':
            last = max(i for i, depth in enumerate(self.spec['depths']) if depth)
            self._check(
                tuple(out_indices) in ((0, 1, 2, 3), (last, )),
                "no out_indices with out_type='pooled', which returns one vector an image", tuple(out_indices))
            out_indices, self.norms = (last, ), self.pooled_norms
        else:
            out_indices = self.levels(out_indices)
        self._check(in_channels >= 1, 'in_channels of at least 1', in_channels)
        self._check(
            len(out_indices) > 0 and list(out_indices) == sorted(set(out_indices) & set(range(stages))),
            f'out_indices to be increasing numbers of 0..{stages - 1}', out_indices)
        self._check(0 <= drop_path_rate < 1, 'drop_path_rate in [0, 1)', drop_path_rate)
        needed = stages if self.parallel else out_indices[-1] + 1
        self._check(
            frozen_stages in range(-1, needed + 1), f'frozen_stages in -1..{needed} '
            f'(the stages that out_indices={tuple(out_indices)} needs)', frozen_stages)
        self._check(out_norm or self.norms != 'trunk', 'out_norm=True, since its norms are part of the trunk', out_norm)
        self.in_channels = in_channels
        self.out_norm = out_norm
        self.out_indices = tuple(out_indices)
        if out_type == 'pooled':
            self.out_channels, self.out_strides = (self.pooled_dim or self.spec['dims'][out_indices[-1]], ), ()
        else:
            self.out_channels, self.out_strides = zip(*(self.level_shape(i) for i in out_indices))
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.with_cp = with_cp

        self.patch_embed = self.build_patch_embed()
        rates = self.drop_path_rates(drop_path_rate)
        self.stages = nn.ModuleList(self.build_stage(i, rates[i]) for i in range(needed))
        for i in range(needed):
            if self.norms == 'trunk' or self.norms == 'out' and out_norm and i in out_indices:
                self.add_module(f'norm{i}', self.build_norm(i))
        if self.norms == 'last':
            self.norm = self.build_norm(out_indices[-1])
        for i in out_indices if out_type == 'featmap' else ():
            self.add_module(f'resample{i}', self.build_resample(i))
        for module in self._frozen():
            module.requires_grad_(False)
        self.train()

    # What a family says.

    def build_patch_embed(self) -> nn.Module:
        """The stem, (B, H, W, in_channels) -> (B, H / 4, W / 4, dims[0])."""
        raise NotImplementedError

    def build_stage(self, i: int, drop_path: Sequence[float]) -> nn.Module:
        """Stage i, a map (of stage i - 1, or the stem's for i = 0) to a map of dims[i] channels.

        Args:
            i: Stage, from 0.
            drop_path: Stochastic-depth rate of each of its blocks.
        """
        raise NotImplementedError

    def build_norm(self, i: int) -> Optional[nn.Module]:
        """``norm{i}``, or ``norm`` for the last i, on maps (B, H, W, dims[i]); None for a level that has none."""
        return nn.LayerNorm(self.spec['dims'][i])

    def build_resample(self, i: int) -> Optional[nn.Module]:
        """What brings level i to its stride, behind its norm; None where the stages have done that."""
        return None

    def level_shape(self, i: int) -> Tuple[int, int]:
        """Channels and stride of level i."""
        return self.spec['dims'][i], 4 * 2**i

    def levels(self, out_indices: Sequence[int]) -> Sequence[int]:
        """The levels that ``out_indices`` stands for, where a family's options change them."""
        return out_indices

    def drop_path_rates(self, rate: float) -> List[List[float]]:
        """The rate of stochastic depth of each block, by stage, for ``drop_path_rate``."""
        return drop_path_rates(rate, self.spec['depths'])

    @classmethod
    def layouts(cls, spec: dict) -> Dict[str, Sequence[tuple]]:
        """{whose: their keys to those of a model with the settings ``spec``}: ``rename`` and ``other_layouts``."""
        return {"the authors'": cls.rename, **cls.other_layouts}

    def level(self, x: Tensor) -> Tensor:
        """The map (B, H, W, C) in what a stage hands to the next one."""
        return x

    def pool(self, x: Tensor) -> Tensor:
        """What the authors' classifier reads, (B, C), of what the last stage returns, behind norms of the trunk."""
        x = self.level(x)
        return (self.norm(x) if self.norms == 'last' else x).mean((1, 2))

    def init_module(self, module: nn.Module) -> None:
        """The authors' random initialisation of one module, where it is not PyTorch's default."""
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    # What everybody gets.

    def forward(self, x: Tensor) -> Tuple[Tensor, ...]:
        """(B, in_channels, H, W), B >= 1, H and W >= 32 -> the levels of ``out_indices``, each (B, C, H / s, W / s).

        With ``out_type='pooled'`` -> features (B, C), the only entry.

        The sizes of the levels are rounded as in the authors' code. Results are contiguous: inside, maps are
        channels-last, but operators of mmcv such as RoIAlign read memory as NCHW whatever the strides say.
        """
        if x.dim() != 4 or x.shape[0] == 0 or x.shape[1] != self.in_channels or min(x.shape[2:]) < MIN_SIZE:
            raise ValueError(
                f'{type(self).__name__} expects images (B, {self.in_channels}, H, W), B >= 1, H and W >= {MIN_SIZE}, '
                f'but got {tuple(x.shape)}. Leave out empty batches; for other channels set in_channels; pad or '
                f'enlarge images that are too small.')
        return tuple(self.features(x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)))

    def features(self, x: Tensor) -> Sequence[Tensor]:
        """Images (B, H, W, in_channels) -> what `forward` returns."""
        x = self.patch_embed(x)
        outs = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            out = self.finish(i, self.level(x))
            if self.norms == 'trunk':
                x = out
            if i in self.out_indices and self.out_type == 'featmap' and not self.parallel:
                outs.append(to_nchw(out))
        if self.out_type == 'pooled':
            return [self.pool(x)]
        return [to_nchw(out) for out in x] if self.parallel else outs

    def finish(self, i: int, x: Tensor) -> Tensor:
        """Level i behind its norm and at its stride, where the model has modules for these."""
        for name in (f'norm{i}', f'resample{i}'):
            module = getattr(self, name, None)
            x = x if module is None else module(x)
        return x

    def train(self, mode: bool = True) -> 'Backbone':
        """Sets the mode of all but the frozen parts (and, with ``norm_eval``, the batch norms); returns the model."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def init_weights(self) -> None:
        """Initialises as the authors do, then loads what ``init_cfg`` names."""
        init_weights(self, self._init_randomly, load_checkpoint)

    @property
    def num_layers(self) -> int:
        """Depths that `layer_depth` tells apart: the stem, each block, and what comes after them."""
        return sum(self.spec['depths']) + 2

    def layer_depth(self, name: str) -> int:
        """The depth at which a parameter works, for layer-wise learning-rate decay.

        Args:
            name: Of a parameter, as in ``named_parameters()``.

        Returns:
            0 for the stem, k for the k-th block (steps down belong to the block after them), ``num_layers - 1`` for
            what comes behind the stages; norms of the trunk belong to the block before them.
        """
        parts = name.split('.')
        if parts[0] == 'stages':
            i = int(parts[1])
            j = int(parts[3]) if parts[2] == 'blocks' else 0
            return sum(self.spec['depths'][:i]) + j + 1
        if parts[0].startswith(('norm', 'resample')):
            return sum(self.spec['depths'][:int(parts[0][4:]) + 1]) if self.norms == 'trunk' else self.num_layers - 1
        return 0

    def get_layer_depth(self, param_name: str, prefix: str = '') -> Tuple[int, int]:
        """`layer_depth` and `num_layers` under the name and with the arguments that mmpretrain uses."""
        return self.layer_depth(param_name[len(prefix):]), self.num_layers

    def leaves_out(self, name: str) -> bool:
        """Whether a weight belongs to a level or a stage that ``out_indices`` do without.

        Args:
            name: Of a parameter or buffer that the model does not have, as in a model with all levels.
        """
        level = re.match(r'(stages\.|norm|resample)(\d+)\.', name)
        # a norm of the trunk is part of what was trained, whether its level is returned or not
        return bool(level) and (level[1] != 'stages.' and self.norms != 'trunk' or int(level[2]) >= len(self.stages))

    def no_weight_decay(self) -> Set[str]:
        """Names of the parameters that the authors exempt from weight decay besides norms and biases."""
        return {name for name, _ in self.named_parameters() if any(part in name for part in self.no_decay)}

    def _checkpoint_filter(self, state_dict: dict, prefix: str, *_) -> None:
        """mmpretrain's classifiers call it as they load: the authors' file, head included, gets the names of their parts."""
        if self.out_type == 'pooled':
            part = {key: state_dict.pop(key) for key in list(state_dict) if key.startswith(prefix)}
            named = name_classifier(self, {key[len(prefix):]: value for key, value in part.items()})
            state_dict.update({prefix + key: value for key, value in named.items()})

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs) -> None:
        load_state_dict_hook(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _init_randomly(self) -> None:
        self.apply(self.init_module)
        if self.init_cfg:  # initialisers of mmengine's
            super().init_weights()

    def _frozen(self) -> List[nn.Module]:
        if self.frozen_stages < 0:
            return []
        frozen = [self.patch_embed, *self.stages[:self.frozen_stages]]
        if self.norms == 'trunk':
            norms = (getattr(self, f'norm{i}') for i in range(self.frozen_stages))
            frozen += [norm for norm in norms if norm is not None]
        return frozen

    def _check(self, right: bool, expected: str, found: object) -> None:
        if not right:
            raise ValueError(f'{type(self).__name__} {self.arch!r} expects {expected}, but got {found!r}')

    def _advice(self, name: str) -> str:
        """What to do about an argument that a family does not take."""
        variant, row = next(iter(self.archs.items()))
        key = ARCH_KEYS.get(name, name)
        if key in row:
            return f'write arch={variant!r}, or for other values arch=dict({type(self).__name__}.archs[{variant!r}], {key}=...)'
        parameters = list(inspect.signature(type(self)).parameters)
        meant = get_close_matches(name, parameters, 1)
        question = f'. Did you mean {meant[0]}?' if meant else ''
        return ELSEWHERE.get(name, f'it takes {", ".join(parameters)}{question}')

    def _resolve(self, arch: Union[str, dict]) -> dict:
        row = next(iter(self.archs.values()))
        if isinstance(arch, str):
            if arch in self.refused:
                raise ValueError(f'{type(self).__name__} has no variant {arch!r}: {self.refused[arch][1]}')
            if arch not in self.archs:
                raise ValueError(f'{type(self).__name__} has no variant {arch!r}. It has {", ".join(self.archs)}; '
                                 f'or give a dict with the keys {", ".join(row)}')
            return self.archs[arch]
        if not isinstance(arch, Mapping) or set(arch) != set(row):
            found = sorted(arch) if isinstance(arch, Mapping) else repr(arch)
            raise ValueError(f'{type(self).__name__} expects arch to be one of {", ".join(self.archs)} or a dict with '
                             f'exactly the keys {sorted(row)}, but got {found}')
        stages = len(arch['depths'])
        for key, value in row.items():
            if isinstance(value, tuple) and len(value) == len(row['depths']) and len(arch[key]) != stages:
                raise ValueError(f'{type(self).__name__}: arch[{key!r}] must have a value for each of the {stages} '
                                 f'stages that depths={arch["depths"]!r} names, but got {arch[key]!r}')
        return dict(arch)
