"""What the tools add to mmengine's runner."""
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ..checkpoints import CheckpointError, check_model
from ..registry import HOOKS


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
