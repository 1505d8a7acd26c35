"""Layer-wise learning-rate decay for any model with one of this package's backbones in it."""
from typing import List

from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn

from ..backbones import Backbone
from ..registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Multiplies the learning rate of a backbone's parameter by ``layer_decay ** (deepest - depth)``.

    The backbone itself says how deep a parameter works (`Backbone.layer_depth`); its output norms and everything
    outside of it keep the full rate. Use it as ``optim_wrapper=dict(constructor=
    'mmvit_backbones.LayerDecayOptimWrapperConstructor', paramwise_cfg=dict(layer_decay=0.9), ...)``. The other keys of
    ``paramwise_cfg`` work as ever; the parameters that the backbone's authors exempt (`Backbone.no_weight_decay`) do
    not decay.

    Raises:
        ValueError: ``layer_decay`` is not in (0, 1], or the model holds no backbone of this package.
    """

    def __call__(self, model: nn.Module):
        rate = self.paramwise_cfg.get('layer_decay')
        if not isinstance(rate, (int, float)) or not 0 < rate <= 1:
            raise ValueError(f'paramwise_cfg must hold layer_decay in (0, 1], but it holds {rate!r}')
        model = getattr(model, 'module', model)
        backbones = [module for module in model.modules() if isinstance(module, Backbone)]
        if not backbones:
            raise ValueError(f'{type(model).__name__} holds no backbone of mmvit_backbones, so its layers have no '
                             'known depth. Use the plain constructor, or one of these backbones.')
        self.lr_scale, self.exempt = {}, set()
        for backbone in backbones:
            exempt = backbone.no_weight_decay()
            for name, param in backbone.named_parameters():
                self.lr_scale[param] = rate**(backbone.num_layers - 1 - backbone.layer_depth(name))
                if name in exempt:
                    self.exempt.add(param)
        return super().__call__(model)

    def add_params(self, params: List[dict], module: nn.Module, **kwargs) -> None:
        start = len(params)
        super().add_params(params, module, **kwargs)
        if kwargs.get('prefix', '') == '':  # the outermost call has added all of them
            for group in params[start:]:
                param = group['params'][0]
                group['lr'] = group.get('lr', self.base_lr) * self.lr_scale.get(param, 1.)
                if param in self.exempt:
                    group['weight_decay'] = 0.
