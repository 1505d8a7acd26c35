"""mmengine's way to checkpoints, made as safe as this package's."""
from functools import partial
from typing import Callable, Dict

from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import (get_deprecated_model_names, get_external_models, get_mmcls_models,
                                        get_torchvision_models)

from .read import CheckpointError, read_checkpoint, unwrap
from .zoo import locate

_ZOOS: Dict[str, Callable[[], Dict[str, str]]] = {
    'torchvision://': get_torchvision_models, 'modelzoo://': get_torchvision_models,
    'open-mmlab://': get_external_models, 'openmmlab://': get_external_models, 'mmcls://': get_mmcls_models
}  # yapf: disable
"""{scheme: what gives the addresses of its names}"""
_CLOUDS = 'pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://'


def use_reader(trust: bool = False) -> None:
    """From here on, whatever mmengine loads in this process is read by `read_checkpoint` and fetched by `locate`.

    That is a runner's ``load_from`` and ``resume``, ``init_cfg`` of other packages' modules, and what mmdet's and
    mmseg's inference functions load. Without it, mmengine unpickles what it can't read otherwise, and so runs code that a
    file holds. The tools of this package call it first of all.

    Args:
        trust: As for `read_checkpoint`.
    """
    read = partial(_read, trust=trust)
    read.__name__ = 'load_from_mmvit_backbones'  # mmengine logs it without its first ten letters
    for scheme in ('', 'http://', 'https://', 'mmvit://', *_ZOOS, *_CLOUDS):
        CheckpointLoader.register_scheme(scheme, read, force=True)


def _read(source: str, map_location: object = None, *, trust: bool) -> dict:
    """A checkpoint on the CPU, wherever it is wanted: what loads it copies it to where the model is."""
    scheme = next((scheme for scheme in _ZOOS if source.startswith(scheme)), None)
    address = source
    if scheme:
        name = source[len(scheme):]
        name = get_deprecated_model_names().get(name, name)
        known = _ZOOS[scheme]()
        if name not in known:
            raise CheckpointError(f'{source} is not known to mmengine')
        address = known[name]
    checkpoint = read_checkpoint(locate(address), trust)
    if isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)  # a program, which mmengine would run when it resumes
    if 'meta' not in checkpoint:  # no runner of mmengine's has saved it: mmengine does not know its wrappings
        checkpoint = dict(state_dict=unwrap(checkpoint))
    if scheme == 'mmcls://':
        state = checkpoint.get('state_dict', checkpoint)
        return dict(state_dict={key[9:]: value for key, value in state.items() if key.startswith('backbone.')})
    return checkpoint
