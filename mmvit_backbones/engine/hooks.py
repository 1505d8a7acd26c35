"""What the tools add to mmengine's runner."""
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..checkpoints import CheckpointError, check_model
from ..registry import HOOKS


_MOMENTS = 'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'momentum_buffer'
"""What torch's optimizers keep of a parameter, in its shape."""


@HOOKS.register_module()
class CheckModelHook(Hook):
    """Stops a run whose checkpoint does not fit its model, before anything is copied.

    Args:
        whole: The checkpoint must fill all of the model, and to resume it must hold nothing else. Else it must fill the
            backbone, and the log says what it leaves as it is.

    Raises:
        CheckpointError: The checkpoint does not fit.
    """
    priority = 'HIGHEST'

    def __init__(self, whole: bool) -> None:
        self.whole = whole

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        source = runner._load_from or 'the checkpoint'
        report = check_model(runner.model, checkpoint, self.whole, source)
        if runner._resume and report.dropped:
            raise CheckpointError(f'{source} is of a larger model than that of the config, so its run can not go on: {report}')
        own, found = runner.param_schedulers, checkpoint.get('param_schedulers')
        if runner._resume and isinstance(own, list) and isinstance(found, list) and len(own) != len(found):
            raise CheckpointError(f'{source} is of a run with {len(found)} schedulers, but the config has '
                                  f'{len(own)}. Go on with the config that it was saved with.')

    def before_train(self, runner: Runner) -> None:
        if not runner._resume or type(runner) is not Runner:
            return
        optimizer = getattr(runner.optim_wrapper, 'optimizer', None)  # there may be several
        if optimizer is None:
            return
        groups = optimizer.param_groups
        if not all(_fits(group.get(key), own) for group in groups for key, own in optimizer.defaults.items()) or \
                any(group['lr'] is not None and group['lr'] < 0 for group in groups):
            raise CheckpointError(f'{runner._load_from}: its learning rates or other settings of its optimizer are '
                                  'no numbers, or those of another optimizer. Go on from an earlier checkpoint.')
        forgetful = isinstance(optimizer, torch.optim.SGD) and not any(group['momentum'] for group in groups)
        if runner.iter and not optimizer.state and not forgetful:
            raise CheckpointError(f'{runner._load_from}: its optimizer has lost what it keeps of each parameter. Go '
                                  'on from an earlier checkpoint.')
        names = {parameter: name for name, parameter in runner.model.named_parameters()}
        adam = isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW))
        needed = ('step', 'exp_avg', 'exp_avg_sq') if adam else ()
        for parameter, state in optimizer.state.items():
            for key in {*state, *needed} if state else ():
                found = state.get(key)
                if parameter not in names or key not in state or \
                        isinstance(found, torch.Tensor) and not torch.isfinite(found).all() or \
                        key in _MOMENTS and found is not None and found.shape != parameter.shape:
                    raise CheckpointError(f"{runner._load_from}: the optimizer's {key} of {names.get(parameter)} is "
                                          'missing, has another shape or NaN or infinite values. Go on from an '
                                          'earlier checkpoint.')


def _fits(found: object, own: object) -> bool:
    """Whether a setting of an optimizer is of the kind of its own."""
    if isinstance(own, (list, tuple)):
        return isinstance(found, (list, tuple)) and len(found) == len(own) and all(map(_fits, found, own))
    if own is None:
        return found is None or isinstance(found, (int, float))
    if isinstance(own, bool) or not isinstance(own, (int, float)):
        return True
    return isinstance(found, (int, float, torch.Tensor)) and abs(found) < float('inf')
