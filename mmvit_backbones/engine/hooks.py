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
        rates = [group['lr'] for group in optimizer.param_groups]
        if not all(isinstance(rate, (int, float, torch.Tensor)) and 0 <= rate < float('inf') for rate in rates):
            raise CheckpointError(f'{runner._load_from}: its learning rates are no numbers. Go on from an earlier checkpoint.')
        names = {parameter: name for name, parameter in runner.model.named_parameters()}
        for parameter, state in optimizer.state.items():
            for key in _MOMENTS:
                found = state.get(key)
                if found is not None and (found.shape != parameter.shape or not torch.isfinite(found).all()):
                    raise CheckpointError(f"{runner._load_from}: the optimizer's {key} of {names.get(parameter)} has another "
                                          'shape or NaN or infinite values. Go on from an earlier checkpoint.')
