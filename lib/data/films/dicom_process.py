"""Decode pixels of DICOM films in a process of its own, because some decoders end theirs.

GDCM, the decoder of JPEG Lossless and JPEG-LS, calls ``terminate`` at some broken streams and
would take the study with it. Here that costs one film. The process is kept for further films, since
starting it takes longer than decoding one. Requests and answers are a length and bytes (a DICOM
file; a status and an ``.npy`` or a message): nothing that is run or unpickled.
"""

import atexit
import io
import os
import subprocess
import sys
from threading import Timer

import numpy as np
from pydicom import config, dcmread
from pydicom.pixels import pixel_array

READ, FAILED = b"R", b"F"
SECONDS = 120  # more than the largest film takes
_idle = []


class DecoderError(RuntimeError):
    """The pixels of a film could not be decoded; says why."""


def decode_apart(data):
    """Decode the pixels of a DICOM file in another process.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    numpy.ndarray
        As `pydicom.pixels.pixel_array` gives it.

    Raises
    ------
    DecoderError
        If the decoder refuses the film, ends its process, or takes longer than two minutes.
    """
    try:
        return _ask(_idle.pop(), data)
    except (IndexError, EOFError):  # none idle, or it has ended since: the film may be sound
        pass
    try:
        return _ask(_start(), data)
    except EOFError as error:
        raise DecoderError(f"the decoder breaks down at it, exit code {error}") from None


def _ask(process, data):
    """The pixels from one process, which is idle afterwards; EOFError with its exit code if not."""
    stopped = Timer(SECONDS, process.kill)
    stopped.start()
    try:
        _send(process.stdin, data)
        status, answer = process.stdout.read(1), _receive(process.stdout)
    except (OSError, EOFError):
        process.kill()
        code = process.wait()
        _close(process)
        raise EOFError(code) from None
    finally:
        stopped.cancel()
    _idle.append(process)
    if status == FAILED:
        raise DecoderError(answer.decode())
    return np.load(io.BytesIO(answer), allow_pickle=False)


def _start():
    # -P: the folder of this file must not hide packages of the same names as its modules.
    return subprocess.Popen(
        [sys.executable, "-P", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _close(process):
    for stream in (process.stdin, process.stdout):
        try:
            stream.close()
        except OSError:  # what was not sent any more
            continue


@atexit.register
def _stop():
    while _idle:
        process = _idle.pop()
        _close(process)  # the end of its input ends it
        process.wait()


def _send(stream, content):
    stream.write(len(content).to_bytes(8, "little"))
    stream.write(content)
    stream.flush()


def _receive(stream):
    length = stream.read(8)
    if len(length) < 8:
        raise EOFError
    content = stream.read(int.from_bytes(length, "little"))
    if len(content) < int.from_bytes(length, "little"):
        raise EOFError
    return content


def _serve(requests, answers):
    config.settings.reading_validation_mode = config.IGNORE
    while True:
        try:
            data = _receive(requests)
        except EOFError:
            return
        content = io.BytesIO()
        try:
            np.save(content, pixel_array(dcmread(io.BytesIO(data))), allow_pickle=False)
            status, answer = READ, content.getvalue()
        except Exception as error:  # hostile bytes reach every exception of a decoder
            status, answer = FAILED, str(error).encode()
        answers.write(status)
        _send(answers, answer)


if __name__ == "__main__":
    # Whatever a library prints must not come between the answers.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer, channel)
