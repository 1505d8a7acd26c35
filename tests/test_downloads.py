"""Weights from their addresses: a sound file under its name, or none and a line that says why."""
import hashlib
import os
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import ROOT, build

from mmvit_backbones import list_backbones
from mmvit_backbones.checkpoints import ZOO, CheckpointError, Preprocess, download, locate, read_checkpoint
from mmvit_backbones.checkpoints.zoo import Weights

LOOPBACK = '127.0.0.1'


@pytest.fixture(scope='module')
def content(tmp_path_factory):
    """The bytes of a checkpoint."""
    path = tmp_path_factory.mktemp('content') / 'file.pth'
    torch.save(dict(weight=torch.arange(64.)), path)
    return path.read_bytes()


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """The folder of weights, which is made when it is needed."""
    monkeypatch.setenv('MMVIT_WEIGHTS', str(tmp_path / 'weights'))
    return tmp_path / 'weights'


@pytest.fixture
def serve():
    """Starts servers: each answers a request with the bytes, or the pieces one after the other, that it is given."""
    servers = []

    def start(answer):

        class Handler(socketserver.BaseRequestHandler):

            def handle(self):
                requests.append(self.request.recv(1 << 16).partition(b'\r\n')[0])
                try:
                    for piece in [answer] if isinstance(answer, bytes) else answer():
                        self.request.sendall(piece)
                except OSError:  # the client has had enough
                    pass

        requests = []
        server = socketserver.ThreadingTCPServer((LOOPBACK, 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=partial(server.serve_forever, .05), daemon=True).start()
        servers.append(server)
        return f'http://{LOOPBACK}:{server.server_address[1]}', requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def reply(body, *headers, status='200 OK'):
    """What a server sends; its headers end with the right length unless others are given."""
    headers = headers or (f'Content-Length: {len(body)}', )
    return '\r\n'.join((f'HTTP/1.1 {status}', 'Connection: close', *headers, '', '')).encode('latin-1') + body


def refuse(source):
    """The message with which a source is refused: one line."""
    with pytest.raises(CheckpointError) as caught:
        locate(source)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def drip():
    yield reply(b'', 'Content-Length: 1000000')
    for _ in range(100):
        time.sleep(.02)
        yield b'x'


def endless(line, first):

    def answer():
        yield first
        for _ in range(10_000):
            yield line
            time.sleep(.001)

    return answer


CHUNKED = 'Transfer-Encoding: chunked'
BROKEN = {
    'page': (reply(b'<!DOCTYPE html><html>Sign in</html>'), 'is a web page'),
    'empty': (reply(b''), 'is empty'),
    'no content': (reply(b'', status='204 No Content'), 'is empty'),
    'silent': (b'', 'closed connection without response'),
    'garbage': (b'\x00\x1b[31m garbage\r\n\r\n', 'garbage'),
    'half a status': (b'HTTP/1.1 200', 'is empty'),
    'many headers': (reply(b'', *(f'X-{i}: 1' for i in range(200))), 'got more than 100 headers'),
    'long header': (reply(b'', 'X: ' + 'x' * 70_000), 'got more than 65536 bytes'),
    'odd header': (reply(b'<html>', 'X-\xff\xfe: \xe9\x00'), 'is a web page'),
    'chunk size': (reply(b'zz\r\nabc\r\n', CHUNKED), 'could not be fetched'),
    'negative chunk': (reply(b'-5\r\nabc\r\n', CHUNKED), 'could not be fetched'),
    'half a chunk': (reply(b'ff\r\nabc', CHUNKED), 'IncompleteRead'),
    'short': (reply(b'x' * 10, 'Content-Length: 1000'), 'broke off after 10 of 1,000 bytes|IncompleteRead'),
    'bad length': (reply(b'hello', 'Content-Length: many'), 'is a text file'),
    'negative length': (reply(b'hello', 'Content-Length: -7'), 'is a text file'),
    'huge length': (reply(b'', f'Content-Length: {10**30}'), 'announces 1,000,000,000'),
    'loop': (reply(b'', 'Location: /again', status='302 Found'), 'infinite loop'),
    'file': (reply(b'', 'Location: file:///etc/hostname', status='302 Found'), 'is not allowed'),
    'ftp': (reply(b'', f'Location: ftp://{LOOPBACK}/x', status='302 Found'), 'unknown url type: ftp'),
    'no location': (reply(b'', status='302 Found'), '302'),
    'gzip': (reply(b'\x1f\x8b', 'Content-Encoding: gzip'), r'encoded \(gzip\)'),
    **{str(code): (reply(b'<html>', status=f'{code} No'), f'HTTP Error {code}: No') for code in (401, 403, 404, 429, 500)},
}  # yapf: disable


@pytest.mark.parametrize('answer, message', BROKEN.values(), ids=BROKEN)
def test_what_is_no_checkpoint_gets_no_name(weights, serve, answer, message):
    url, _ = serve(answer)
    error = refuse(f'{url}/file.pth')
    assert re.search(message, error) and f'{url}/file.pth' in error and f'put the file at {weights}' in error
    assert '\x1b' not in error and '.download' not in error
    assert list(weights.iterdir()) == []


def test_damage_on_the_way_is_seen(weights, serve, content):
    middle = content.index(torch.tensor([31.]).numpy().tobytes())
    for body in (content[:-1], content[:len(content) // 2], content[:middle] + b'\xff' + content[middle + 1:]):
        url, _ = serve(reply(body))
        assert f'{url}/file.pth' in refuse(f'{url}/file.pth')
    url, _ = serve(reply(content, f'Content-Length: {len(content) - 9}'))
    assert 'Get the file again' in refuse(f'{url}/file.pth')
    assert list(weights.iterdir()) == []


@pytest.mark.parametrize('answer', [
    drip,
    endless(b'HTTP/1.1 100 Continue\r\n\r\n', b''),
    endless(b'X: y\r\n', reply(b'0\r\n', CHUNKED)),
], ids=['a byte at a time', 'never begins', 'never ends'])
def test_slow_servers(weights, serve, monkeypatch, answer):
    monkeypatch.setattr(download, 'WINDOW', .3)
    url, _ = serve(answer)
    assert 'too slow' in refuse(f'{url}/file.pth')
    assert list(weights.iterdir()) == []


def test_silent_servers(weights, serve, monkeypatch):
    monkeypatch.setattr(download, 'SILENCE', .2)
    url, _ = serve(endless(b'', b''))
    assert 'timed out' in refuse(f'{url}/file.pth')


def test_a_steady_download_may_take_several_windows(weights, serve, content, monkeypatch):
    monkeypatch.setattr(download, 'WINDOW', .05)
    monkeypatch.setattr(download, 'LEAST_RATE', 100)

    def answer():
        yield reply(b'', f'Content-Length: {len(content)}')
        for i in range(0, len(content), 100):
            time.sleep(.02)
            yield content[i:i + 100]

    url, _ = serve(answer)
    assert locate(f'{url}/file.pth').read_bytes() == content


def test_files_without_end(weights, serve, monkeypatch):
    monkeypatch.setattr(download, 'LARGEST', 1000)
    url, _ = serve(reply(b'x' * 5000, 'Server: none'))
    assert 'no end after 1,000 bytes' in refuse(f'{url}/file.pth')


def test_nobody_listens(weights):
    assert 'Connection refused' in refuse(f'http://{LOOPBACK}:9/file.pth')


def test_a_server_without_tls(weights, serve):
    url, _ = serve(reply(b'', status='400 Bad'))
    assert 'SSL' in refuse(f'{url.replace("http", "https")}/file.pth')


def test_a_sound_file_is_fetched_once(weights, serve, content):
    url, requests = serve(reply(content))
    paths = {locate(f'{url}/file.pth'), locate(f'{url}/file.pth'), locate(f'{url}/file.pth#part')}
    assert len(requests) == 1 and len(paths) == 1 and list(weights.iterdir()) == list(paths)
    assert torch.equal(read_checkpoint(*paths)['weight'], torch.arange(64.))
    redirect, _ = serve(reply(b'', f'Location: {url}/elsewhere', status='302 Found'))
    assert locate(f'{redirect}/file.pth').read_bytes() == content
    chunked, _ = serve(reply(b'%x\r\n%b\r\n0\r\n\r\n' % (len(content), content), CHUNKED))
    assert locate(f'{chunked}/file.pth').read_bytes() == content


@pytest.mark.parametrize('path', [
    '', '/', '/a/file.pth', '/b/file.pth', '/file.pth?v=1', '/file.pth?v=2', '/file%2Epth', '/..', '/%2e%2e%2fx', '/a%2Fb',
    '/..\\x', '/a b', '/\xfc', '/%ff%00', '/' + 'n' * 500, '/cswin_tiny_224.pth', '/?x=/y'
])  # yapf: disable
def test_every_address_has_its_file(weights, serve, content, path):
    url, _ = serve(reply(content))
    other, _ = serve(reply(b'<html>'))
    found = locate(url + path)
    assert found.parent == weights and found.read_bytes() == content and list(weights.iterdir()) == [found]
    assert found.name not in {entry.file for entry in ZOO.values()}
    assert 'a web page' in refuse(other + path)
    assert locate(url.upper().replace('HTTP', 'Http') + path).read_bytes() == content


@pytest.mark.parametrize('source, message', [
    ('http://', 'no host'), ('http://[::1', 'Invalid IPv6'), ('http://host:port/x', 'nonnumeric port'),
    ('http://' + 'a' * 70 + '.x/y', 'could not be fetched'), ('http://127.0.0.1:9/a\nb', 'refused'),
    ('ftp://127.0.0.1/x', 'expected a path'), ('://', 'expected a path'), ('torchvision://resnet50', 'expected a path'),
    ('mmvit://', 'A known name is cait/'), ('mmvit://cswin/tiney', 'Near are cswin/tiny'),
    ('MMVIT://CSWin%2FTiny', 'Near are cswin/tiny'), ('mmvit://%s%d', 'is not known'), ('mmvit://a\nb', 'is not known'),
    ('mmvit://../../etc/passwd', 'is not known'), ('mmvit://' + 'z' * 9999, 'is not known'),
    ('mmvit://msg_transformer/tiny', 'no weights of msg_transformer/tiny are published'),
])  # yapf: disable
def test_sources_that_are_none(weights, source, message):
    error = refuse(source)
    assert message in error and len(error) < 1000


def test_zoo_names_are_variants():
    known = list_backbones()
    for name, entry in ZOO.items():
        assert name in known or name.rsplit('_', 1)[0] in known, name
        assert entry.url is None or entry.url.startswith('https://') and entry.url.endswith(entry.file)
        assert entry.licence and entry.data and entry.file


def test_zoo_takes_a_local_file(weights):
    weights.mkdir()
    state = build('cswin/tiny').state_dict()
    torch.save(state, weights / ZOO['cswin/tiny'].file)
    model = build('cswin/tiny', init_cfg=dict(type='Pretrained', checkpoint='mmvit://cswin/tiny'))
    model.init_weights()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_zoo_without_a_url(weights):
    name = next(name for name, entry in ZOO.items() if not entry.sources)
    assert str(weights / ZOO[name].file) in refuse(f'mmvit://{name}')


def test_addresses_of_others_are_those_of_the_metafiles():
    pytest.importorskip('mmpretrain')
    import mmpretrain
    import yaml
    known = set()
    for family in ('mvit', 'swin_transformer', 'swin_transformer_v2', 't2t_vit', 'tnt', 'twins', 'vision_transformer'):
        path = next(Path(mmpretrain.__file__).parent.glob(f'.mim/configs/{family}/metafile.yml'))
        for model in yaml.safe_load(path.read_text())['Models']:
            known |= {model['Weights'], model.get('Converted From', {}).get('Weights')}
    known = {url and url.split('/', 3)[3] for url in known}  # the host has moved between versions
    ours = [url for entry in ZOO.values() for url in entry.others if '/v0.1-vitjx/' not in url]
    assert len(ours) == 35
    ours += [entry.url for name, entry in ZOO.items() if name.startswith('swin_v2/')]
    assert {url.split('/', 3)[3] for url in ours} <= known


def test_addresses_of_vit_are_those_of_timm():
    """So is how it prepares images, where the file has a classifier."""
    pytest.importorskip('timm')
    from timm.models.vision_transformer import default_cfgs
    known = {cfg.url: cfg for entry in default_cfgs.values() for cfg in entry.cfgs.values() if cfg.url}
    ours = {url: entry for name, entry in ZOO.items() if name.startswith('vit/') and not name.endswith('_openmmlab')
            for url in entry.sources.values()}
    assert len(ours) == sum(name.startswith('vit/') for name in ZOO) - 1
    for url, entry in ours.items():
        cfg = known[url]
        assert entry.preprocess == (Preprocess(cfg.input_size[1], cfg.crop_pct, cfg.interpolation, cfg.mean, cfg.std)
                                    if cfg.num_classes == 1000 else None)


def test_sources_are_tried_in_order_and_digits_are_checked(weights, serve, content, monkeypatch):
    digits = hashlib.sha256(content).hexdigest()[:8]
    url, requests = serve(reply(content))
    missing, _ = serve(reply(b'', status='404 Not Found'))
    wrong = f'{url}/file-00000000.pth'
    entry = Weights('authors.pth', f'{missing}/authors.pth', 'https://page', 'MIT', 'data', (wrong, f'{url}/file-{digits}.pth'))
    monkeypatch.setitem(ZOO, 'swin/tiny', entry)
    monkeypatch.setitem(ZOO, 'swin/small', replace(entry, url=None, others=(wrong, )))
    error = refuse('mmvit://swin/small')
    assert f'{wrong} is damaged or another file: its SHA-256 begins with {digits}, not 00000000' in error
    assert f'Get the weights from https://page and put the file at {weights}/authors.pth' in error
    assert list(weights.iterdir()) == [] and locate('mmvit://swin/small', fetch=False).name == 'file-00000000.pth'
    found = locate('mmvit://swin/tiny')
    assert found == weights / f'file-{digits}.pth' and locate('mmvit://swin/tiny') == found and len(requests) == 3
    torch.save(dict(weight=torch.zeros(64)), found)
    assert 'is damaged or another file' in refuse('mmvit://swin/tiny')
    (weights / 'authors.pth').write_bytes(content)
    assert locate('mmvit://swin/tiny').name == 'authors.pth'


@pytest.mark.parametrize('fetch', [True, False])
def test_unsound_files_stay_and_are_named(weights, fetch):
    weights.mkdir()
    entry = ZOO['cswin/tiny']
    (weights / entry.file).write_bytes(b'<html>')
    with pytest.raises(CheckpointError, match=f'{entry.file} is a web page.* Once it is removed, {entry.url} is fetched again'):
        locate('mmvit://cswin/tiny', fetch=fetch)
    assert (weights / entry.file).read_bytes() == b'<html>'
    (weights / entry.file).unlink()
    (weights / entry.file).symlink_to('nowhere')
    with pytest.raises(CheckpointError, match='no file that can be read'):
        locate('mmvit://cswin/tiny', fetch=fetch)
    assert (weights / entry.file).is_symlink()


def test_folders_that_are_none(weights, serve, content, monkeypatch):
    url, _ = serve(reply(content))
    weights.write_text('a file')
    assert 'File exists' in refuse(f'{url}/file.pth') and weights.read_text() == 'a file'
    for folder, message in ((f'{weights}/below', 'Not a directory'), ('/' + 'n' * 300, 'File name too long')):
        monkeypatch.setenv('MMVIT_WEIGHTS', folder)
        assert message in refuse(f'{url}/file.pth')
    monkeypatch.setenv('MMVIT_WEIGHTS', '~nobody-has-this-name/x')
    assert locate('mmvit://cswin/tiny', fetch=False).name == ZOO['cswin/tiny'].file
    monkeypatch.setenv('MMVIT_WEIGHTS', '')
    assert locate('mmvit://cswin/tiny', fetch=False).parent.name == 'weights'


def test_a_full_disk(weights, serve, content, monkeypatch):
    url, _ = serve(reply(content))

    class Full(download.io.FileIO):

        def write(self, data):
            raise OSError(28, 'No space left on device')

    monkeypatch.setattr(download.Path, 'open', lambda path, mode: Full(path, mode.replace('b', '')))
    assert 'No space left on device' in refuse(f'{url}/file.pth')
    assert list(weights.iterdir()) == []


def start(url, folder):
    """A process that fetches."""
    code = f'from mmvit_backbones.checkpoints import locate; print(locate({url!r}))'
    return subprocess.Popen([sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=dict(os.environ, MMVIT_WEIGHTS=str(folder)))  # yapf: disable


def test_killed_and_simultaneous_downloads(weights, serve, content):
    """One process is killed, one goes on, a third begins: what the first has left goes, and the others get the file."""
    go_on = threading.Event()

    def answer():
        yield reply(b'', f'Content-Length: {len(content)}')
        yield content[:100]
        go_on.wait(60)
        yield content[100:]

    url, requests = serve(answer)
    killed, living = start(f'{url}/file.pth', weights), start(f'{url}/file.pth', weights)
    while len(requests) < 2 and killed.poll() is None and living.poll() is None:
        time.sleep(.05)
    left = set(weights.iterdir())
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    stranger = weights / f'{download._PART}other_machine-0'
    stranger.write_bytes(b'being written')
    old = weights / f'{download._PART}other_machine-1'
    old.write_bytes(b'long since')
    os.utime(old, (0, 0))
    assert len(left) == 2
    other, _ = serve(reply(content))
    locate(f'{other}/file.pth')
    assert len(left & set(weights.iterdir())) == 1 and stranger.exists() and not old.exists()
    go_on.set()
    out, log = living.communicate(timeout=60)
    assert living.returncode == 0, log
    assert (weights / out.strip().rpartition('/')[2]).read_bytes() == content
    assert not left & set(weights.iterdir())


def test_ranks_fail_and_go_on_together(weights, serve, content):
    """Where the first can't fetch it, the others say why, and none of them tries. Machines may have disks of their own."""
    url, requests = serve(reply(b'<html>'))
    sound, sound_requests = serve(reply(content))
    code = f'''
import sys, torch.distributed as dist
from mmvit_backbones.checkpoints import CheckpointError, locate
dist.init_process_group('gloo', init_method='file://{weights.parent}/meet', rank=int(sys.argv[1]), world_size=2)
try:
    locate('{url}/file.pth')
except CheckpointError as error:
    print(str(error).partition('. ')[0])
if dist.get_rank() == 0:
    locate.__globals__['download']('{sound}/file.pth', locate('{sound}/file.pth', fetch=False))
print(locate('{sound}/file.pth').read_bytes().hex())
dist.destroy_process_group()
'''
    ranks = [
        subprocess.Popen([sys.executable, '-c', code, str(rank)], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                         env=dict(os.environ, LOCAL_RANK='0', MMVIT_WEIGHTS=f'{weights}-{rank}')) for rank in range(2)
    ]  # yapf: disable
    said = [rank.communicate(timeout=120)[0] for rank in ranks]
    assert said[0] == said[1] and 'a web page' in said[0] and content.hex() in said[0]
    assert len(requests) == 1 and len(sound_requests) == 2
