"""Decode pixels of DICOM films in a process of its own, because some decoders end theirs.

GDCM, the decoder of JPEG Lossless and JPEG-LS, calls ``terminate`` at some broken streams and
would take the study with it. Here that costs one film. The process is kept for further films, since
starting it takes longer than decoding one. A request is a DICOM file, an answer what went wrong (or
nothing) and an ``.npy``: bytes, nothing that is run or unpickled.
"""

import atexit
import io
import subprocess
import sys
from multiprocessing.connection import Connection, Pipe
from threading import Timer

import numpy as np
from pydicom import config, dcmread
from pydicom.pixels import pixel_array

SECONDS = 120  # more than the largest film takes
_idle = []  # processes that wait for a film, each with the pipe to it


class DecoderError(RuntimeError):
    """The pixels of a film could not be decoded; says why."""


def decode_apart(data):
    """Decode the pixels of a DICOM file (bytes) as `pydicom.pixels.pixel_array`, but apart.

    DecoderError if the decoder refuses the film, ends its process, or takes longer than `SECONDS`.
    """
    try:
        return _ask(*_idle.pop(), data)
    except (IndexError, EOFError):  # none idle, or it has ended since: the film may be sound
        pass
    try:
        return _ask(*_start(), data)
    except EOFError as error:
        raise DecoderError(f"the decoder breaks down at it, exit code {error}") from None


def _ask(process, pipe, data):
    """The pixels from one process, which is idle afterwards; EOFError with its exit code if not."""
    stopped = Timer(SECONDS, process.kill)
    stopped.start()
    try:
        pipe.send_bytes(data)
        problem, pixels = pipe.recv_bytes(), pipe.recv_bytes()
    except (OSError, EOFError):
        process.kill()
        pipe.close()
        raise EOFError(process.wait()) from None
    finally:
        stopped.cancel()
    _idle.append((process, pipe))
    if problem:
        raise DecoderError(problem.decode())
    return np.load(io.BytesIO(pixels), allow_pickle=False)


def _start():
    pipe, its_end = Pipe()
    with its_end:
        # -P: the folder of this file must not hide packages of the same names as its modules.
        command = [sys.executable, "-P", __file__, str(its_end.fileno())]
        silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        return subprocess.Popen(command, pass_fds=[its_end.fileno()], **silent), pipe


@atexit.register
def _stop():
    while _idle:
        process, pipe = _idle.pop()
        pipe.close()  # the end of its requests ends it
        process.wait()


def _serve(pipe):
    config.settings.reading_validation_mode = config.IGNORE
    while True:
        try:
            data = pipe.recv_bytes()
        except (OSError, EOFError):
            return
        content, problem = io.BytesIO(), ""
        try:
            np.save(content, pixel_array(dcmread(io.BytesIO(data))), allow_pickle=False)
        except Exception as error:  # hostile bytes reach every exception of a decoder
            problem = str(error) or type(error).__name__
        pipe.send_bytes(problem.encode())
        pipe.send_bytes(content.getbuffer())


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
