"""Files that try to run code, to take memory, or to change what outlives them: what test_hostile_files.py reads."""
import io
import json
import pickle
import struct
import sys
import tarfile
import warnings
import zipfile

import numpy as np
import torch
from torch import nn

MAGIC, VERSION = 0x1950a86a20f9469cfc6c, 1001
MACHINE = dict(protocol_version=VERSION, little_endian=True, type_sizes=dict(short=2, int=4, long=4))


def text(value):
    """An instruction that puts a text down."""
    data = value.encode()
    return b'X' + struct.pack('<I', len(data)) + data


def name(path):
    module, _, attribute = path.rpartition('.')
    return f'c{module}\n{attribute}\n'.encode()


def stacked(module, path):
    """A name, as protocol 4 writes it; its path may have dots."""
    return text(module) + text(path) + b'\x93'


def call(function, *args):
    return function + b'(' + b''.join(args) + b'tR'


def program(body):
    """A pickle of a dict whose value is what ``body`` makes."""
    return b'\x80\x02}' + text('model') + body + b's.'


def as_zip(data, parts=()):
    """A file of `torch.save` around a pickle, with further (name, content) parts."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr('archive/data.pkl', data)
        archive.writestr('archive/version', '3\n')
        for part, content in parts:
            archive.writestr(part if part.startswith('other/') else f'archive/{part}', content)
    return file.getvalue()


def as_legacy(data, keys=(), storages=b''):
    """A file of `torch.save` before PyTorch 1.6 around a pickle."""
    return b''.join(pickle.dumps(part, 2) for part in (MAGIC, VERSION, MACHINE)) + data + pickle.dumps(list(keys), 2) + storages


def bodies(marker):
    """{what it tries: instructions}; ``marker`` is the folder that it makes where it succeeds."""
    path, source = text(str(marker)), text(f'__import__("os").mkdir({str(marker)!r})')
    history = name('mmengine.logging.history_buffer.HistoryBuffer')
    getattr_ = name('builtins.getattr')
    dtype = call(name('numpy.dtype'), text('O8'), b'K\x00', b'K\x01')
    rebuild = name('torch._tensor._rebuild_from_type_v2')
    found = {
        'a call': call(name('os.mkdir'), path),
        'a call by the name of the system': call(name('posix.mkdir'), path),
        'eval': call(name('builtins.eval'), source),
        'eval of Python 2': call(name('__builtin__.eval'), source),
        'exec': call(name('builtins.exec'), source),
        'import': call(name('builtins.__import__'), text('antigravity')),
        'a process': call(name('subprocess.call'), b'(' + text('mkdir') + path + b'l'),
        'a shell': call(name('os.system'), text(f'mkdir {marker}')),
        'a module': call(name('importlib.import_module'), text('antigravity')),
        'a script': call(name('runpy.run_path'), path),
        'a pickle in it': call(name('pickle.loads'), b'C\x05' + b'N.   '),
        'bytes of torch': call(name('torch.storage._load_from_bytes'), b'C\x02N.'),
        'torch.load': call(name('torch.load'), path),
        'torch.hub': call(name('torch.hub.load'), path, text('x')),
        'numpy.load': call(name('numpy.load'), path),
        'a timer': call(name('timeit.timeit'), source),
        'functools': call(name('functools.partial'), name('os.mkdir'), path),
        'operator': call(name('operator.methodcaller'), text('mkdir'), path),
        'attrgetter': call(name('operator.attrgetter'), text('__class__')),
        'map': call(name('builtins.map'), name('os.mkdir'), b'(' + path + b'l'),
        'a class made': call(name('builtins.type'), text('x'), b')', b'}'),
        'a function made': call(name('types.FunctionType'), b'N', b'}'),
        'a codec': call(name('_codecs.encode'), text('x'), text('hostile')),
        'a compressing codec': call(name('_codecs.encode'), text('x'), text('zlib')),
        'a decoder': call(name('_codecs.decode'), b'C\x01x', text('hostile')),
        'open': call(name('builtins.open'), path, text('w')),
        'setattr': call(name('builtins.setattr'), history, text('mean'), b'N'),
        'getattr of another': call(getattr_, name('builtins.dict'), text('fromkeys')),
        'getattr of its class': call(getattr_, history, text('__class__')),
        'getattr of getattr': call(getattr_, history, text('__getattribute__')),
        'getattr of its globals': call(getattr_, call(getattr_, history, text('__init__')), text('__globals__')),
        'register a statistic': call(call(getattr_, history, text('register_statistics')), name('builtins.eval')),
        'the way to eval': call(
            rebuild, call(getattr_, history, text('__getattribute__')), name('torch.Tensor'), b'(' + history + text('__init__') + b't',
            b'N'),
        'a tensor made by another': call(rebuild, name('os.mkdir'), name('torch.Tensor'), b'(' + path + b't', b'N'),
        'a tensor of another class': call(rebuild, name('torch._utils._rebuild_tensor_v2'), name('os.mkdir'), b')', b'N'),
        'a wrapped tensor': call(name('torch._utils._rebuild_wrapper_subclass'), name('os.mkdir'), b'N', b')', b')', b'K\x00', b'N'),
        'a statistic called': call(call(getattr_, history, text('mean')), b'N'),
        'dots in a name': call(stacked('os', 'path.os.mkdir'), path),
        'dots to globals': call(stacked('mmengine.logging.history_buffer', 'HistoryBuffer.__init__.__globals__'), path),
        'a stacked name': call(stacked('os', 'mkdir'), path),
        'names that are numbers': b'K\x01K\x02\x93',
        'INST': b'(' + path + b'ios\nmkdir\n',
        'OBJ': b'(' + name('os.mkdir') + path + b'o',
        'NEWOBJ': name('os.mkdir') + b'(' + path + b't\x81',
        'NEWOBJ of what is known': name('builtins.dict') + b')\x81',
        'NEWOBJ_EX': name('argparse.Namespace') + b')}' + text('x') + b'K\x01s\x92',
        'an extension': b'\x82\x01',
        'an extension of two bytes': b'\x83\x01\x00',
        'an extension of four bytes': b'\x84\x01\x00\x00\x00',
        'a buffer of another': b'\x97',
        'a persistent id of text': b'Phello\n',
        'a persistent id of another kind': b'(' + text('module') + name('os.mkdir') + path + b'tQ',
        'a storage of another kind': b'(' + text('storage') + name('os.mkdir') + text('0') + text('cpu') + b'K\x01tQ',
        'a state for a name': history + b'}' + text('mean') + b'Nsb',
        'a state in slots': history + b'(}}' + text('mean') + b'Nstb',
        'a state for a function': name('torch._utils._rebuild_tensor_v2') + b'(}}' + text('__code__') + b'Nstb',
        'a state for settings': call(name('argparse.Namespace')) + b'(}' + text('a') + b'Nstb',
        'a class of its own': call(name('copyreg._reconstructor'), name('os.mkdir'), name('builtins.object'), b'N'),
        'a base of its own': call(name('copyreg._reconstructor'), name('builtins.object'), name('builtins.dict'), b'}'),
        'items for a name': name('collections.OrderedDict') + text('x') + b'Ns',
        'items for a tensor': b'K\x01' + text('x') + b'Ns',
        'an array of objects': call(
            name('numpy.core.multiarray._reconstruct'), name('numpy.ndarray'), b'K\x00\x85', b'C\x01b') + b'(K\x01K\x01\x85' + dtype
        + b'\x89]' + call(name('os.mkdir'), path) + b'atb',
        'a dtype of objects': dtype,
        'a dtype with a state': call(name('numpy.dtype'), text('f8'), b'K\x00', b'K\x01') + b'(K\x03' + text('os') + b'NNNJ\xff\xff\xff\xfftb',
        'a dtype that is no text': call(name('numpy.dtype'), b'(K\x01l', b'K\x00', b'K\x01'),
        'a subclass of an array': call(
            name('numpy.core.multiarray._reconstruct'), name('os.mkdir'), path, b'C\x01b'),
        'a generator of random numbers': call(name('numpy.random._pickle.__generator_ctor'), text('MT19937')),
        'a node of settings that is called': call(call(name('yacs.config.CfgNode')), path),
        'a script of torch': call(name('torch.jit._pickle.restore_type_tag'), b'N', path),
        'a package': call(name('torch.package.PackageImporter'), path),
        'a map of memory': call(name('numpy.memmap'), path),
        'unittest': call(name('unittest.mock._importer'), text('antigravity')),
    }
    found['a node of settings with methods'] = name('yacs.config.CfgNode') + b')\x81}' + text('get') + found['eval'] + b'sb'
    found['an OrderedDict with methods'] = call(name('collections.OrderedDict')) + b'}' + text('keys') + name('builtins.eval') + b'sb'
    return found


def bombs():
    """{what it does: a whole file}: small files that would take gigabytes, or for ever."""
    one = b'(' + text('storage') + name('torch.FloatStorage') + text('0') + text('cpu')
    large = b'\x8a\x05' + (10**11).to_bytes(5, 'little')
    rebuild = name('torch._utils._rebuild_tensor_v2')
    tensor = call(rebuild, one + large + b'tQ', b'K\x00', b'(' + large + b't', b'(K\x01t', b'K\x00', b'N')
    spread = call(rebuild, one + b'K\x01tQ', b'K\x00', b'(' + large + b't', b'(K\x00t', b'K\x00', b'N')
    outside = call(rebuild, one + b'K\x01tQ', large, b'(K\x01t', b'(K\x01t', b'K\x00', b'N')
    copies = text('x' * 100_000) + b'q\x00' + b''.join(call(name('_codecs.encode'), b'h\x00', text('latin1')) + b'0' for _ in range(20000)) + b'K\x00'
    nested = b')' + b'q\x000' + b''.join(b'h%ch%c\x86q%c0' % (i, i, i + 1) for i in range(60))
    content = [('data/0', bytes(4))]
    alike = [i * sys.hash_info.modulus for i in range(1, 1000)]  # numbers of one hash: a million take days
    longs = [b'\x8a\x10' + number.to_bytes(16, 'little') for number in alike]
    order = b'(K\x03' + text('<') + b'NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t'
    return {
        'a storage of 400 GB': as_zip(program(tensor), content),
        'a legacy storage of 400 GB': as_legacy(program(tensor), ['0'], b'\1' + bytes(11)),
        'a tensor that repeats its value': as_zip(program(spread), content),
        'a tensor outside of its storage': as_zip(program(outside), content),
        'a tensor of negative size': as_zip(program(spread.replace(large, b'J\xff\xff\xff\xff')), content),
        'bytes by number': as_zip(program(call(name('builtins.bytearray'), large))),
        'an old tensor by number': as_zip(program(call(name('torch.FloatTensor'), large))),
        'an array by number': as_zip(program(call(name('numpy.zeros'), large))),
        'copies of a text': as_zip(program(copies)),
        'a key that takes for ever to compare': as_zip(program(nested + b'}h\x3cNs')),
        'keys of one hash': as_zip(program(b'}(' + b'N'.join(longs) + b'Nu')),
        'members of one hash': as_zip(program(b'\x8f(' + b''.join(longs) + b'\x90')),
        'members of one hash in a tuple': as_zip(program(b'(K\x01\x85\x91')),
        'places of one hash': as_zip(program(b'N' + b''.join(b'p%d\n' % number for number in alike))),
        'a value that is completed again and again': as_zip(program(
            order + b'p99\n0' + call(name('numpy.dtype'), text('f8'), b'K\x00', b'K\x01') + b'2g99\nb0g99\nb')),
        'a text that is longer than the file': as_legacy(b'\x80\x02X\xff\xff\xff\x7fabc'),
        'bytes that are longer than the file': as_legacy(b'\x80\x04\x8e' + (1 << 40).to_bytes(8, 'little') + b'abc'),
        'a number of many digits': as_zip(b'\x80\x02I' + b'9' * 100_000 + b'\n.'),
    }


def as_npz(*parts, **options):
    """A file as `numpy.savez` writes one, of (name, content)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w', **options) as archive:
        for part, content in parts:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')  # of names that are there already
                archive.writestr(part, content)
    return file.getvalue()


def as_npy(header, content=b'', version=1):
    header = header.encode()
    return b'\x93NUMPY' + bytes([version, 0]) + struct.pack('<H', len(header)) + header + content


def arrays(objects):
    """{what it does: a file as of `numpy.savez`}; ``objects`` is a file of `numpy.save` that calls something."""
    described = "{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}\n".format
    sound = as_npy(described('<f4', '(1,)'), bytes(4))
    bad = {
        'a shape beyond the file': as_npy(described('<f4', '(100000000000,)'), bytes(4)),
        'a shape beyond all numbers': as_npy(described('<f4', f'({"1" * 30},)'), bytes(4)),
        'sides that are many': as_npy(described('<f4', f'({"1, " * 10_000})'), bytes(4)),
        'a negative shape': as_npy(described('<f4', '(-1,)'), bytes(4)),
        'no side': as_npy(described('<f4', '(0, 100000000000)')),
        'more than it says': as_npy(described('<f4', '(1,)'), bytes(8)),
        'another byte order': as_npy(described('>f4', '(1,)'), bytes(4)),
        'objects': as_npy(described('|O', '(1,)'), bytes(8)),
        'texts': as_npy(described('<U1', '(1,)'), bytes(4)),
        'a program': as_npy("__import__('antigravity')"),
        'a program for a type': as_npy(described("' + __import__('antigravity') + '", '(1,)'), bytes(4)),
        'records': as_npy(described("[('a', '<f4')]", '(1,)').replace("'[", '[').replace("]'", ']'), bytes(4)),
        'brackets without end': as_npy('(' * 60_000),
        'signs without end': as_npy(described('<f4', f'({"-" * 60_000}1,)'), bytes(4)),
        'another version': as_npy(described('<f4', '(1,)'), bytes(4), version=2),
        'a header that is cut off': sound[:20],
        'nothing': b'',
    }
    found = {what: as_npz(('sound.npy', sound), ('x.npy', content)) for what, content in bad.items()}
    found['objects among arrays'] = as_npz(('sound.npy', sound), ('x.npy', objects))
    found['two of one name'] = as_npz(('x.npy', sound), ('x.npy', sound))
    large = as_npy(described('|u1', '(10000000,)'), bytes(10_000_000))
    found['compressed'] = as_npz(('x.npy', large), compression=zipfile.ZIP_DEFLATED)
    found['something else in it'] = as_npz(('x.npy', sound), ('data.pkl', b'N.'))
    found['damage'] = as_npz(('x.npy', as_npy(described('<f4', '(1,)'), b'abcd'))).replace(b'abcd', b'abce')
    return found


def containers(marker):
    """{what it is: a whole file}, hostile as a file rather than as a pickle."""
    call_ = program(bodies(marker)['a call'])
    sound = pickle.dumps(dict(model={}), 2)
    found = {f'protocol {protocol}': pickle.dumps(_Reduces(str(marker)), protocol) for protocol in range(6)}
    found.update({f'protocol {protocol}, zip': as_zip(data) for protocol, data in enumerate(list(found.values()))})
    found['a plain pickle'] = call_
    found['a legacy file whose version calls'] = b''.join([pickle.dumps(MAGIC, 2), call_, sound, sound])
    found['a legacy file whose keys call'] = b''.join([pickle.dumps(part, 2) for part in (MAGIC, VERSION, MACHINE)]) + sound + call_
    found['two pickles of one name'] = as_zip(sound, [('data.pkl', call_)])
    found['two checkpoints'] = as_zip(sound, [('other/data.pkl', call_)])
    found['constants that call'] = as_zip(sound, [('constants.pkl', call_)])
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), file)
    found['TorchScript'] = file.getvalue()
    file = io.BytesIO()
    np.savez(file, model=np.array([_Reduces(str(marker))], dtype=object))
    found['npz'] = file.getvalue()
    file = io.BytesIO()
    np.save(file, np.array([_Reduces(str(marker))], dtype=object))
    found['npy'] = file.getvalue()
    found.update({f'npz: {what}': content for what, content in arrays(found['npy']).items()})
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode='w') as archive:
        for part in ('storages', 'tensors', 'pickle'):
            entry = tarfile.TarInfo(part)
            entry.size = len(call_)
            archive.addfile(entry, io.BytesIO(call_))
    found['tar'] = file.getvalue()
    compressed = io.BytesIO()
    with zipfile.ZipFile(compressed, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', sound + bytes(10_000_000))
    found['a compressed zip'] = compressed.getvalue()
    entry = dict(dtype='F32', shape=[1], data_offsets=[0, 4])
    for what, header in {
            'an end before the start': dict(x=dict(entry, data_offsets=[4, 0])),
            'an end outside': dict(x=dict(entry, shape=[1 << 40], data_offsets=[0, 1 << 42])),
            'a negative shape': dict(x=dict(entry, shape=[-1])),
            'a shape that does not fit': dict(x=dict(entry, shape=[3])),
            'an unknown type': dict(x=dict(entry, dtype='O8')),
            'two values in one place': dict(x=entry, y=entry),
            'metadata that is no text': dict(x=entry, __metadata__=dict(a=1)),
            'an entry that is a number': dict(x=3),
            'nothing at all': [],
    }.items():
        data = json.dumps(header).encode()
        found[f'safetensors: {what}'] = len(data).to_bytes(8, 'little') + data + bytes(4)
    deep = b'{"x":' + b'[' * 100_000 + b']' * 100_000 + b'}'
    found['safetensors: a deep header'] = len(deep).to_bytes(8, 'little') + deep
    found['safetensors: a header without end'] = (30).to_bytes(8, 'little') + b'{' * 30
    return found


class _Reduces:

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        import os
        return os.mkdir, (self.path, )
